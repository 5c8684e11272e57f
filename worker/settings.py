"""The settings: environment variables `RECEIPTS_*`, with their units and limits.

The usual `AWS_*` variables configure AWS itself: region, credentials, endpoint URLs. Settings that cannot work together
are refused on construction, with one line that says what to change.
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
"""SageMaker's limit on a request body, bytes
(docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html)."""
VISIBILITY_LIMIT_S = 43_200
"""SQS keeps a message invisible for at most 12 hours
(docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html)."""

HAND_BACK_S = 5.0
"""Seconds that a stop needs besides the drain: first for a receive in progress, afterwards to release messages."""
QUEUE_URL = re.compile(r"https?://[^/?#\s]+/[^\s]+")
QUEUE_URL_EXAMPLE = "https://sqs.eu-central-1.amazonaws.com/123456789012/receipts"
TABLE = re.compile(r"[a-zA-Z0-9_.:/-]+")
"""A table name or ARN (docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html)."""
ENDPOINT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""An endpoint name (docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html)."""
AND = "; "
"""Joins several errors into one line."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that only this machine can reach."""

Seconds = Annotated[float, Field(gt=0, le=VISIBILITY_LIMIT_S, allow_inf_nan=False)]


class Settings(BaseSettings):
    """The settings of one worker process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    # Queue, table and bucket
    queue_url: str | None = Field(None, description="URL of the SQS queue that receives the bucket's events.")
    table: str = Field(
        "receipts", min_length=3, max_length=255, description="Name or ARN of the DynamoDB results table."
    )
    bucket: str | None = Field(
        None,
        description="Bucket of the uploads. `submit` puts files there, and the worker stores raw answers there if they "
        "are too large for the table. The worker fetches each upload from the bucket that its event names.",
    )

    # The endpoint
    endpoint: str | None = Field(None, description="Name of the SageMaker endpoint that reads receipts.")
    protocol: Literal["image", "chat", "textract"] = Field(
        "image",
        description="Endpoint protocol: `image` (image in, our JSON out: the embedded reader), `chat` (OpenAI chat "
        "completions: vLLM, LMI, TGI) or `textract` (image in, AnalyzeExpense JSON out).",
    )
    target_variant: str | None = Field(None, description="Production variant to call; if unset, SageMaker chooses.")
    target_model: str | None = Field(None, description="Model to call on a multi-model endpoint.")
    inference_component: str | None = Field(None, description="Inference component to call on the endpoint.")
    endpoint_timeout_s: Seconds = Field(
        70, description="Longest wait for one answer of the endpoint, seconds. SageMaker itself gives up after 60."
    )
    endpoint_body_limit: int = Field(
        ENDPOINT_BODY_LIMIT,
        gt=1_000,
        le=26_214_400,
        description="Largest request body that the endpoint accepts, bytes.",
    )
    chat_model: str | None = Field(None, description="`chat`: value of the request's `model` field; unset omits it.")
    chat_max_tokens: int = Field(4_096, ge=64, le=131_072, description="`chat`: longest answer, tokens.")
    chat_schema: Literal["receipt", "flat", "none"] = Field(
        "receipt",
        description="`chat`: JSON schema of the answer: `receipt` (all fields), `flat` (storeName, purchaseDate, "
        "total) or `none` (no response_format; the prompt contains the schema).",
    )
    chat_response_format: Literal["json_schema", "json_object"] = Field(
        "json_schema",
        description="`chat`: how the request carries the schema: `json_schema` as OpenAI defines it (vLLM, LMI), or "
        "`json_object` with the schema as its `value` (TGI).",
    )
    chat_extra: dict[str, Any] = Field(
        {}, description='`chat`: JSON object merged into the request body, such as {"temperature": 0}.'
    )

    # Concurrency and memory
    max_in_flight: int = Field(32, ge=1, le=1_000, description="Messages that one worker process holds at a time.")
    invocations: int | None = Field(
        None, ge=1, le=1_000, description="Fixed number of concurrent invocations; if unset, it adapts to the endpoint."
    )
    memory_mib: int = Field(
        96, ge=16, le=65_536, description="Memory for uploads that are fetched but not yet prepared, MiB."
    )
    decoders: int = Field(1, ge=1, le=64, description="Threads that decode and resize images.")

    # Messages
    visibility_s: Seconds = Field(120, description="Length of a message's lease (its visibility timeout), seconds.")
    heartbeat_s: Seconds = Field(30, description="Time between two renewals of a lease, seconds.")
    receive_wait_s: int = Field(20, ge=1, le=20, description="Long poll of ReceiveMessage, seconds.")
    max_receive_count: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Receives of a message until it is dead-lettered, if fewer than the queue's redrive policy says.",
    )
    backoff_base_s: Seconds = Field(5, description="Pause before a failed receipt is tried a second time, seconds.")
    backoff_cap_s: Seconds = Field(900, description="Longest pause before a failed receipt is tried again, seconds.")

    # Calls to dependencies
    call_attempts: int = Field(6, ge=1, le=100, description="Attempts of one call while its dependency is healthy.")
    call_base_s: Seconds = Field(0.2, description="First pause between two attempts of a call, seconds, with jitter.")
    call_cap_s: Seconds = Field(10, description="Longest pause between two attempts of a call, seconds.")
    call_timeout_s: Seconds = Field(15, description="Longest wait for one answer of S3, SQS or DynamoDB, seconds.")
    direct_calls: bool = Field(
        True, description="Make the calls of each receipt without botocore, at a fifth of its CPU; false uses botocore."
    )
    breaker_failures: int = Field(5, ge=1, le=1_000, description="Consecutive faults that open a dependency's breaker.")
    breaker_probe_s: Seconds = Field(3, description="Longest pause between two probes of a dependency, seconds.")

    # Images
    upload_limit_mib: float = Field(40, gt=0, le=1_024, description="Largest upload that is fetched, MiB.")
    max_pixels: int = Field(
        60_000_000, ge=10_000, le=1_000_000_000, description="Largest picture that is decoded, pixels of one page."
    )
    max_side: int = Field(2_000, ge=200, le=20_000, description="Longest side of a picture that is sent, pixels.")
    max_tall_side: int = Field(
        8_000,
        ge=200,
        le=65_000,
        description="Longest side of a till roll that is sent, pixels; its text stays legible.",
    )
    max_sent_pixels: int | None = Field(
        None,
        ge=100_000,
        le=1_000_000_000,
        description="Pixels of all pictures of one document together, for models with a limited context.",
    )
    max_pages: int = Field(
        10, ge=1, le=500, description="Pages of one document that are read; a longer document goes to review."
    )
    jpeg_quality: int = Field(88, ge=30, le=95, description="Quality of the JPEGs that the worker encodes.")

    # Records
    review_threshold: float = Field(
        0.8, ge=0, le=1, description="Lowest confidence with which a record is `extracted`, not `needs_review`."
    )
    expire_days: int | None = Field(
        None, ge=1, le=36_500, description="Days until DynamoDB deletes a record; unset keeps records."
    )

    # Stop
    stop_timeout_s: Seconds = Field(30, description="Time that the platform allows from SIGTERM to SIGKILL, seconds.")
    drain_s: Seconds = Field(20, description="Drain: time to finish what is in flight after SIGTERM, seconds.")
    protection: bool = Field(True, description="ECS: protect the task from scale-in while it has work.")

    # Service
    service: str = Field(
        "worker",
        min_length=1,
        max_length=255,
        description="Name of this deployment: the dimension `Service` of its CloudWatch metrics.",
    )
    http_host: str = Field("127.0.0.1", description="Address of health, metrics and console; 0.0.0.0 in a container.")
    http_port: int = Field(
        8_000, ge=0, le=65_535, description="Port of health, metrics and console; 0 takes a free port."
    )
    console: bool = Field(False, description="Serve the API under /v1 and the console on the HTTP port.")
    api_token: SecretStr | None = Field(
        None,
        min_length=16,
        max_length=1_000,
        description="Bearer token of the API; required unless it listens on loopback.",
    )
    api_token_secret: str | None = Field(
        None, description="Name or ARN of the Secrets Manager secret that holds the token; use it instead of the token."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="`json` for machines, `console` for people.")

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        if broken := [sentence for ok, sentence in self._rules() if not ok]:
            raise ValueError(AND.join(broken))
        return self

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield (
            self.queue_url is None or bool(QUEUE_URL.fullmatch(self.queue_url)),
            f"{PREFIX}QUEUE_URL: {self.queue_url} is not a queue's URL. Set it to one, such as {QUEUE_URL_EXAMPLE}",
        )
        yield (
            bool(TABLE.fullmatch(self.table)),
            f"{PREFIX}TABLE: {self.table} is not a table's name. Use letters, digits, _, . and -, or an ARN",
        )
        yield (
            self.endpoint is None or bool(ENDPOINT.fullmatch(self.endpoint)),
            f"{PREFIX}ENDPOINT: {self.endpoint} is not an endpoint's name. Use its name, not its ARN or URL: at most "
            "63 letters, digits and inner hyphens",
        )
        yield (
            self.heartbeat_s * 2 < self.visibility_s,
            f"{PREFIX}HEARTBEAT_S: {self.heartbeat_s:g} must be less than half of {PREFIX}VISIBILITY_S "
            f"({self.visibility_s:g}), so that one failed renewal does not lose the lease",
        )
        yield (
            self.drain_s + HAND_BACK_S <= self.stop_timeout_s,
            f"{PREFIX}DRAIN_S: {self.drain_s:g} must be at least {HAND_BACK_S:g} less than {PREFIX}STOP_TIMEOUT_S "
            f"({self.stop_timeout_s:g}), so that unfinished messages can be released",
        )
        yield (
            self.breaker_failures <= self.call_attempts,
            f"{PREFIX}BREAKER_FAILURES: {self.breaker_failures} must not exceed {PREFIX}CALL_ATTEMPTS "
            f"({self.call_attempts}), or an outage uses up a receipt's attempts before the breaker opens",
        )
        yield (
            self.backoff_base_s <= self.backoff_cap_s,
            f"{PREFIX}BACKOFF_BASE_S: {self.backoff_base_s:g} must not exceed {PREFIX}BACKOFF_CAP_S "
            f"({self.backoff_cap_s:g})",
        )
        yield (
            self.call_base_s <= self.call_cap_s,
            f"{PREFIX}CALL_BASE_S: {self.call_base_s:g} must not exceed {PREFIX}CALL_CAP_S ({self.call_cap_s:g})",
        )
        yield (
            self.invocations is None or self.invocations <= self.max_in_flight,
            f"{PREFIX}INVOCATIONS: {self.invocations} must not exceed {PREFIX}MAX_IN_FLIGHT ({self.max_in_flight}), "
            "because each invocation belongs to a message in flight",
        )
        yield (
            self.max_side <= self.max_tall_side,
            f"{PREFIX}MAX_SIDE: {self.max_side} must not exceed {PREFIX}MAX_TALL_SIDE ({self.max_tall_side})",
        )
        yield (
            self.upload_limit_mib <= self.memory_mib,
            f"{PREFIX}UPLOAD_LIMIT_MIB: {self.upload_limit_mib:g} must not exceed {PREFIX}MEMORY_MIB "
            f"({self.memory_mib}), or the largest upload never fits into memory",
        )

        yield (
            self.api_token is None or self.api_token_secret is None,
            f"{PREFIX}API_TOKEN and {PREFIX}API_TOKEN_SECRET are both set. Set only one of them",
        )
        yield (
            not self.console or self.http_host in LOOPBACK or bool(self.api_token or self.api_token_secret),
            f"{PREFIX}CONSOLE: on {self.http_host} the console needs a token. Set {PREFIX}API_TOKEN or "
            f"{PREFIX}API_TOKEN_SECRET, or set {PREFIX}HTTP_HOST to 127.0.0.1",
        )
        yield (
            not self.console or self.bucket is not None,
            f"{PREFIX}CONSOLE: the console needs a bucket for its uploads. Set {PREFIX}BUCKET",
        )

    @property
    def image_limit(self) -> int:
        """Largest total size of one receipt's prepared pages, bytes, with which the request fits the endpoint.

        Data URIs, and several pages in every protocol, are sent as base64: four characters for three bytes. A
        sixteenth of the body is reserved for the surrounding JSON.
        """
        return self.endpoint_body_limit * 15 // 16 * 3 // 4

    def require(self, *names: str) -> None:
        """Raise a `SettingsError` that names the first of `names` that is not set."""
        for name in names:
            if getattr(self, name) is None:
                description = type(self).model_fields[name].description
                raise SettingsError(f"{PREFIX}{name.upper()} is not set. {description}")


def load(**overrides: Any) -> Settings:
    """Return the settings of the environment, or raise a `SettingsError` whose one line lists all errors."""
    wrong = list(_misspelt(os.environ))
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(AND.join([*wrong, *_sentences(error)])) from error
    except ValueError as error:  # pydantic-settings raises it for a variable that must hold JSON and does not
        name = re.search(r'for field "(\w+)"', str(error))
        which = f"{PREFIX}{name[1].upper()}" if name else f"A {PREFIX}* variable"
        raise SettingsError(AND.join([*wrong, f"{which}: the value is not valid JSON"])) from error
    if wrong:
        raise SettingsError(AND.join(wrong))
    return settings


def _misspelt(environment: Iterable[str]) -> Iterator[str]:
    """Yield an error for each variable whose name is almost a setting's: its author believes that it is set."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in environment:
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and (near := get_close_matches(upper, known, 1, 0.9)):
            yield f"unknown setting {name}; did you mean {near[0]}?"


def _sentences(error: ValidationError) -> Iterator[str]:
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"])
        message = str(one["msg"]).removeprefix("Value error, ")
        message = message.replace("items after validation", "characters")  # pydantic's wording for secrets
        got = "" if where == "api_token" else f", got {json.dumps(one.get('input'), default=str)[:80]}"
        yield f"{PREFIX}{where.upper()}: {message}{got}" if where else message
