"""What can be set, with units and limits: environment variables `RECEIPTS_*`.

AWS itself (region, credentials, endpoint URLs) is configured by the usual `AWS_*` variables. A combination that cannot
work is refused when it is made, with one line that says what to change.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import SettingsError

PREFIX = "RECEIPTS_"
ENDPOINT_BODY_LIMIT = 6_291_456
"""SageMaker's limit of a request's body in bytes
(docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html)."""
VISIBILITY_LIMIT_S = 43_200
"""SQS keeps a message invisible for 12 hours at most
(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html)."""

HAND_BACK_S = 5.0
"""Time that a stop needs beside the drain, seconds: for a receive under way before, and for handing back after it."""
QUEUE_URL = re.compile(r"https?://[^/?#\s]+/[^\s]+")
QUEUE_URL_EXAMPLE = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
TABLE = re.compile(r"[a-zA-Z0-9_.:/-]+")
"""A name or an ARN (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html)."""
ENDPOINT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""Source: docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html."""
AND = "; "
"""Between two things that are wrong at once."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that nobody but this machine reaches."""

Seconds = Annotated[float, Field(gt=0, le=VISIBILITY_LIMIT_S, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The settings of one worker process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    # What it works on
    queue_url: str | None = Field(None, description="URL of the SQS queue that gets the bucket's events.")
    table: str = Field("receipts", min_length=3, max_length=255, description="Name of the DynamoDB results table.")
    bucket: str | None = Field(
        None,
        description="Bucket of the uploads: where `submit` puts files and raw answers too large for the table go. "
        "The worker itself fetches from whatever bucket an event names.",
    )

    # The endpoint
    endpoint: str | None = Field(None, description="Name of the SageMaker endpoint that reads receipts.")
    protocol: Literal["image", "chat", "textract"] = Field(
        "image",
        description="What the endpoint speaks: `image` (image in, our JSON out: the embedded reader), `chat` (OpenAI "
        "chat completions: vLLM, LMI, TGI) or `textract` (image in, AnalyzeExpense JSON out).",
    )
    target_variant: str | None = Field(None, description="Production variant to call; unset lets SageMaker choose.")
    target_model: str | None = Field(None, description="Model to call on a multi-model endpoint.")
    inference_component: str | None = Field(None, description="Inference component to call on the endpoint.")
    endpoint_timeout_s: Seconds = Field(
        70, description="Longest wait for one answer, seconds. SageMaker itself gives up after 60."
    )
    endpoint_body_limit: int = Field(
        ENDPOINT_BODY_LIMIT, gt=1_000, le=26_214_400, description="Largest request body that the endpoint takes, bytes."
    )
    chat_model: str | None = Field(None, description="`chat`: the `model` field of the request, where it is wanted.")
    chat_max_tokens: int = Field(4_096, ge=64, le=131_072, description="`chat`: longest answer, tokens.")
    chat_schema: Literal["receipt", "flat", "none"] = Field(
        "receipt",
        description="`chat`: JSON schema asked for: `receipt` (all fields), `flat` (storeName, purchaseDate, total) or "
        "`none` (no response_format; the prompt has the schema).",
    )
    chat_response_format: Literal["json_schema", "json_object"] = Field(
        "json_schema",
        description="`chat`: how the server takes the schema: `json_schema` as OpenAI has it (vLLM, LMI), or "
        "`json_object` with the schema as its `value` (TGI).",
    )
    chat_extra: dict[str, Any] = Field(
        {}, description='`chat`: JSON object merged into the body, such as {"temperature": 0}.'
    )

    # How much at a time
    max_in_flight: int = Field(32, ge=1, le=1_000, description="Messages that one process holds at a time.")
    invocations: int | None = Field(
        None, ge=1, le=1_000, description="Fixed number of invocations at a time; unset adapts it to the endpoint."
    )
    memory_mib: int = Field(
        96, ge=16, le=65_536, description="Budget for uploads that are fetched but not yet prepared, MiB."
    )
    decoders: int = Field(1, ge=1, le=64, description="Threads that decode and resize images.")

    # Messages
    visibility_s: Seconds = Field(120, description="Time that a message is ours before it must be extended, seconds.")
    heartbeat_s: Seconds = Field(30, description="Time between two extensions of a message, seconds.")
    receive_wait_s: int = Field(20, ge=1, le=20, description="Long poll of ReceiveMessage, seconds.")
    max_receive_count: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Receives of a message, where that shall be fewer than the queue's policy says.",
    )
    backoff_base_s: Seconds = Field(5, description="Backoff of a failed receipt after its first receive, seconds.")
    backoff_cap_s: Seconds = Field(900, description="Longest backoff of a failed receipt, seconds.")

    # Calls to dependencies
    call_attempts: int = Field(6, ge=1, le=100, description="Tries of one call while its dependency is healthy.")
    call_base_s: Seconds = Field(0.2, description="First pause between two tries of a call, seconds, jittered.")
    call_cap_s: Seconds = Field(10, description="Longest pause between two tries of a call, seconds.")
    call_timeout_s: Seconds = Field(15, description="Longest wait for S3, SQS and DynamoDB, seconds.")
    direct_calls: bool = Field(
        True, description="Make the calls of every receipt past botocore, at a fifth of its CPU; false sends all by it."
    )
    breaker_failures: int = Field(5, ge=1, le=1_000, description="Faults in a row that open a dependency's breaker.")
    breaker_probe_s: Seconds = Field(3, description="Longest pause between two probes of a dependency, seconds.")

    # Images
    upload_limit_mib: float = Field(40, gt=0, le=1_024, description="Largest object that is fetched, MiB.")
    max_pixels: int = Field(
        60_000_000, ge=10_000, le=1_000_000_000, description="Largest picture that is decoded, pixels of one page."
    )
    max_side: int = Field(2_000, ge=200, le=20_000, description="Longest side of a picture sent, pixels.")
    max_tall_side: int = Field(
        8_000, ge=200, le=65_000, description="Longest side of a till roll sent, pixels: its short side stays legible."
    )
    max_sent_pixels: int | None = Field(
        None,
        ge=100_000,
        le=1_000_000_000,
        description="Pixels of all pictures sent for one document together, where a model's context sets a limit.",
    )
    max_pages: int = Field(
        10, ge=1, le=500, description="Pages of one document that are read; one with more goes to review."
    )
    jpeg_quality: int = Field(88, ge=30, le=95, description="Quality of a JPEG that is made anew.")

    # Records
    review_threshold: float = Field(
        0.8, ge=0, le=1, description="Confidence from which a record is `extracted` and not `needs_review`."
    )
    expire_days: int | None = Field(
        None, ge=1, le=36_500, description="Days until DynamoDB deletes a record; unset keeps it."
    )

    # Stop
    stop_timeout_s: Seconds = Field(30, description="Time from SIGTERM to SIGKILL that the platform gives, seconds.")
    drain_s: Seconds = Field(20, description="Time that work under way gets after SIGTERM, seconds.")
    protection: bool = Field(True, description="ECS: protect the task from scale-in while it works.")

    # Service
    service: str = Field(
        "worker",
        min_length=1,
        max_length=255,
        description="Name of this deployment in CloudWatch metrics, their dimension `Service`.",
    )
    http_host: str = Field("127.0.0.1", description="Address of health, metrics and console; 0.0.0.0 in a container.")
    http_port: int = Field(8_000, ge=0, le=65_535, description="Port of health, metrics and console; 0 takes any.")
    console: bool = Field(False, description="Serve the API under /v1 and the console beside health.")
    api_token: SecretStr | None = Field(
        None, min_length=16, max_length=1_000, description="Bearer token that the API asks for; needed off loopback."
    )
    api_token_secret: str | None = Field(
        None, description="Name or ARN of a Secrets Manager secret that holds the token, instead of the token itself."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for people.")

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        if broken := [sentence for ok, sentence in self._demands() if not ok]:
            raise ValueError(AND.join(broken))
        return self

    def _demands(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.queue_url is None or bool(QUEUE_URL.fullmatch(self.queue_url)),
            f"{PREFIX}QUEUE_URL must be a queue's URL, such as {QUEUE_URL_EXAMPLE}: {self.queue_url}",
        )
        yield (
            bool(TABLE.fullmatch(self.table)),
            f"{PREFIX}TABLE must be a table's name of letters, digits, _, . and -: {self.table}",
        )
        yield (
            self.endpoint is None or bool(ENDPOINT.fullmatch(self.endpoint)),
            f"{PREFIX}ENDPOINT must be an endpoint's name of at most 63 letters, digits and - between them, "
            f"not its ARN or URL: {self.endpoint}",
        )
        yield (
            self.heartbeat_s * 2 < self.visibility_s,
            f"{PREFIX}HEARTBEAT_S must be less than half of {PREFIX}VISIBILITY_S, so that one lost extension costs "
            f"nothing: {self.heartbeat_s:g} against {self.visibility_s:g}",
        )
        yield (
            self.drain_s + HAND_BACK_S <= self.stop_timeout_s,
            f"{PREFIX}DRAIN_S must be at least {HAND_BACK_S:g} less than {PREFIX}STOP_TIMEOUT_S, so that what is left "
            f"can be handed back: {self.drain_s:g} against {self.stop_timeout_s:g}",
        )
        yield (
            self.breaker_failures <= self.call_attempts,
            f"{PREFIX}BREAKER_FAILURES must not be more than {PREFIX}CALL_ATTEMPTS, or an outage uses up a receipt's "
            f"tries before its breaker opens: {self.breaker_failures} against {self.call_attempts}",
        )
        yield (
            self.backoff_base_s <= self.backoff_cap_s,
            f"{PREFIX}BACKOFF_BASE_S must not be more than {PREFIX}BACKOFF_CAP_S",
        )
        yield (
            self.call_base_s <= self.call_cap_s,
            f"{PREFIX}CALL_BASE_S must not be more than {PREFIX}CALL_CAP_S",
        )
        yield (
            self.invocations is None or self.invocations <= self.max_in_flight,
            f"{PREFIX}INVOCATIONS must not be more than {PREFIX}MAX_IN_FLIGHT: a message in flight is what is invoked",
        )
        yield (
            self.max_side <= self.max_tall_side,
            f"{PREFIX}MAX_SIDE must not be more than {PREFIX}MAX_TALL_SIDE",
        )
        yield (
            self.upload_limit_mib <= self.memory_mib,
            f"{PREFIX}UPLOAD_LIMIT_MIB must not be more than {PREFIX}MEMORY_MIB, or the largest upload never fits",
        )

        yield (
            self.api_token is None or self.api_token_secret is None,
            f"{PREFIX}API_TOKEN and {PREFIX}API_TOKEN_SECRET exclude each other: set one",
        )
        yield (
            not self.console or self.http_host in LOOPBACK or bool(self.api_token or self.api_token_secret),
            f"{PREFIX}CONSOLE on {self.http_host} needs {PREFIX}API_TOKEN or {PREFIX}API_TOKEN_SECRET: without a token "
            "it is served on 127.0.0.1 alone",
        )
        yield (
            not self.console or self.bucket is not None,
            f"{PREFIX}CONSOLE needs {PREFIX}BUCKET: the bucket that its uploads go to",
        )

    @property
    def image_limit(self) -> int:
        """Bytes that the prepared pages of one receipt may have together, so that the request fits the endpoint.

        Data URIs, and several pages in every protocol, go as base64: four characters for three bytes; a sixteenth is
        left for the JSON around it.
        """
        return self.endpoint_body_limit * 15 // 16 * 3 // 4

    def require(self, *names: str) -> None:
        """Raise `SettingsError` naming the first of `names` that is not set."""
        for name in names:
            if getattr(self, name) is None:
                description = type(self).model_fields[name].description
                raise SettingsError(f"{PREFIX}{name.upper()} is not set. {description}")


def load(**overrides: Any) -> Settings:
    """Return the settings of the environment, or raise `SettingsError` with one line that says all that is wrong."""
    wrong = list(_misspelt(os.environ))
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(AND.join([*wrong, *_sentences(error)])) from error
    except ValueError as error:  # pydantic-settings: a variable that should hold JSON does not
        name = re.search(r'for field "(\w+)"', str(error))
        which = f"{PREFIX}{name[1].upper()}" if name else f"A {PREFIX}* variable"
        raise SettingsError(AND.join([*wrong, f"{which} is no JSON"])) from error
    if wrong:
        raise SettingsError(AND.join(wrong))
    return settings


def _misspelt(environment: Iterable[str]) -> Iterator[str]:
    """Tell of names that are nearly a setting's: whoever wrote one believes that it is set."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in environment:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and (near := get_close_matches(upper, known, 1, 0.9)):
            yield f"{name} is no setting, {near[0]} is"


def _sentences(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"])
        message = str(one["msg"]).removeprefix("Value error, ")
        message = message.replace("items after validation", "characters")  # of a secret pydantic says it so
        got = "" if where == "api_token" else f", got {json.dumps(one.get('input'), default=str)[:80]}"
        yield f"{PREFIX}{where.upper()}: {message}{got}" if where else message
