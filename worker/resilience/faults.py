"""Whose fault it is: turns what an AWS client raises into what the caller does about it.

One rule for all: an exception that this module does not know is a bug and passes through unchanged.
"""

import asyncio
from typing import Any

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from worker.errors import DependencyFault, Failed, ReceiptsError, Rejected, Throttled

THROTTLES = frozenset(
    {
        "LimitExceededException",
        "ModelNotReadyException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
"""Codes that ask for fewer calls. SageMaker sends ThrottlingException as HTTP 400
(github.com/opensearch-project/ml-commons/issues/2429), so it is the code that counts, not the status."""

NO_SUCH_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
NO_SUCH_OBJECT = NO_SUCH_BUCKET | {"NoSuchKey", "NoSuchVersion", "404", "405", "MethodNotAllowed", "InvalidArgument"}
"""S3's answers for what is not there; 405 is a version that is a delete marker, InvalidArgument one that cannot be
(docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, …/API/ErrorResponses.html)."""

TRANSPORT = (
    HTTPClientError,
    BotoConnectionError,
    aiohttp.ClientError,
    ConnectionError,
    TimeoutError,
    asyncio.IncompleteReadError,
    ResponseParserError,  # somebody between us and AWS has answered in its stead
)


class SuspectFault(DependencyFault):
    """A fault that may be this receipt's doing as well as the dependency's: two receipts with it are an outage."""


def classify(dependency: str, error: Exception) -> Exception:
    """Return the error of `worker.errors` that `error`, raised by a call of `dependency`, stands for.

    `dependency` is "s3", "sqs", "dynamodb" or "sagemaker". What cannot be classified is returned as it is.
    """
    if isinstance(error, ReceiptsError):
        return error
    if isinstance(error, ClientError):
        return _client_error(dependency, error)
    if isinstance(error, TimeoutError):
        return _timeout(dependency, "")
    if isinstance(error, NoCredentialsError):
        return DependencyFault(dependency, "no_credentials")
    if isinstance(error, TRANSPORT):
        name = type(error).__name__
        return _timeout(dependency, name) if "Timeout" in name else DependencyFault(dependency, "connection", name)
    if isinstance(error, BotoCoreError):
        return SuspectFault(dependency, "client_error", type(error).__name__)
    return error


def _timeout(dependency: str, detail: str) -> DependencyFault:
    """Return the fault of a call that took too long; an endpoint's may be one receipt's doing: a model without end."""
    kind = SuspectFault if dependency == "sagemaker" and "Connect" not in detail else DependencyFault
    return kind(dependency, "timeout", detail)


def _client_error(dependency: str, error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in THROTTLES or status == 429:
        return Throttled(dependency, "throttled", code)
    if code == "ModelError":
        return _model_error(dependency, error.response)
    if dependency == "s3" and (code in NO_SUCH_OBJECT or status == 404):
        return Rejected("no_such_bucket" if code in NO_SUCH_BUCKET else "no_such_object")
    if dependency == "s3" and code == "InvalidObjectState":
        return Rejected("archived", "the object is in an archive class; restore it and upload it again")
    if status >= 500 or status == 0:
        return DependencyFault(dependency, "server_error", code)
    if code == "RequestTimeout":
        return DependencyFault(dependency, "timeout", code)
    if dependency == "s3":
        # One object's policy or key can forbid it while all others are well.
        return SuspectFault(dependency, "access_denied" if status == 403 else "refused", code)
    if dependency == "sagemaker" and code == "ValidationError" and "not found" not in _message(error).lower():
        return Failed("endpoint_refused", "the endpoint does not take this request")
    if dependency == "dynamodb" and code == "ValidationException":
        return Failed("unstorable", "DynamoDB does not take this record")
    # What is left says that the deployment is wrong (a missing permission, table or endpoint): nothing that waiting for
    # a person to mend it would lose.
    return DependencyFault(dependency, "misconfigured", code)


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message") or "")


def _model_error(dependency: str, response: Any) -> Exception:
    """Tell whose fault a ModelError is by the container's own status.

    4xx is the receipt's; 5xx is the endpoint's, and so is 0, which is what an answer that takes longer than 60 s
    becomes (github.com/aws/amazon-sagemaker-examples/issues/799).
    """
    original = _original_status(response)
    if original == 429:
        return Throttled(dependency, "throttled", "ModelError 429")
    if original == 503:
        return DependencyFault(dependency, "model_unavailable", f"status {original}")
    if original in {502, 504}:  # what a container's own proxy says while its server is down, or has just died of this
        return SuspectFault(dependency, "model_unavailable", f"status {original}")
    if 400 <= original < 500 and original != 408:
        return Failed("model_refused", f"the model answered with status {original}")
    return SuspectFault(dependency, "model_error", f"status {original}")


def _original_status(response: Any) -> int:
    value = response.get("OriginalStatusCode", response.get("Error", {}).get("OriginalStatusCode", 0))
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
