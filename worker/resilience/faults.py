"""Fault classification: turns an exception of an AWS client into one that tells the caller what to do.

An exception that this module does not know is a bug, and passes through unchanged.
"""

import asyncio
from typing import Any

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from worker.errors import DependencyFault, Failed, ReceiptsError, Rejected, Throttled
from worker.resilience.machine import machine_fault

THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "ModelNotReadyException",
        "OverLimit",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Error codes that ask for fewer calls. SageMaker sends ThrottlingException as HTTP 400
(github.com/opensearch-project/ml-commons/issues/2429), so the code decides, not the status."""

NO_SUCH_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
NO_SUCH_OBJECT = NO_SUCH_BUCKET | {"NoSuchKey", "NoSuchVersion", "404", "405", "MethodNotAllowed", "InvalidArgument"}
"""S3's codes for a missing object. 405: the version is a delete marker. InvalidArgument: the version id is malformed
(docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, …/API/ErrorResponses.html)."""

MACHINE = "machine"
"""The dependency that stands for this process: its memory, descriptors and disk."""
TRANSPORT = (
    HTTPClientError,
    BotoConnectionError,
    aiohttp.ClientError,
    ConnectionError,
    TimeoutError,
    asyncio.IncompleteReadError,
    ResponseParserError,  # a proxy answered instead of AWS
)


CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
"""No credentials can be obtained now. This concerns every call, so no receipt is a suspect."""
STILL_EXPIRED = "Credentials were refreshed, but the refreshed credentials are still expired"
"""Text of botocore's RuntimeError when a credential endpoint returns expired credentials (botocore/credentials.py)."""


class SuspectFault(DependencyFault):
    """A fault that either the receipt or the dependency may have caused. If two receipts meet it, it is an outage."""


def classify(dependency: str, error: Exception) -> Exception:
    """Return the error of `worker.errors` that `error`, raised by a call of `dependency`, stands for.

    `dependency` is "s3", "sqs", "dynamodb", "sagemaker" or "machine". An unknown exception is returned unchanged.
    """
    if isinstance(error, ReceiptsError):
        return error
    if isinstance(error, ClientError):
        return _client_error(dependency, error)
    if reason := machine_fault(error):
        # One receipt can exhaust the machine, for example its memory; a call to AWS cannot.
        return (SuspectFault if dependency == MACHINE else DependencyFault)(dependency, reason)
    if isinstance(error, TimeoutError):
        return _timeout(dependency, "")
    if isinstance(error, CREDENTIALS):
        return DependencyFault(dependency, "no_credentials")
    if isinstance(error, RuntimeError) and str(error).startswith(STILL_EXPIRED):
        return DependencyFault(dependency, "credentials_expired")
    if isinstance(error, TRANSPORT):
        name = type(error).__name__
        return _timeout(dependency, name) if "Timeout" in name else DependencyFault(dependency, "connection", name)
    if isinstance(error, BotoCoreError):
        return SuspectFault(dependency, "client_error", type(error).__name__)
    return error


def _timeout(dependency: str, detail: str) -> DependencyFault:
    """Return the fault of a call that timed out. One receipt can cause it: the model may generate without end."""
    kind = SuspectFault if dependency == "sagemaker" and "Connect" not in detail else DependencyFault
    return kind(dependency, "timeout", detail)


def _client_error(dependency: str, error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in THROTTLES or status == 429:
        return Throttled(dependency, "throttled", code)
    if code == "ModelError":
        return _model_error(dependency, error.response)
    if status >= 500 or status == 0:
        return DependencyFault(dependency, "server_error", code)
    if code == "RequestTimeout":
        return DependencyFault(dependency, "timeout", code)
    if dependency == "s3":
        return _s3_error(error, code, status)
    if dependency == "sagemaker" and code == "ValidationError" and "not found" not in _message(error).lower():
        return Failed("endpoint_refused", "the endpoint does not accept this request")
    if dependency == "dynamodb" and code == "ValidationException":
        return Failed("unstorable", "DynamoDB does not accept this record")
    # The rest means a wrong deployment (a missing permission, table or endpoint): work waits until a person fixes it.
    return DependencyFault(dependency, "misconfigured", code)


def _s3_error(error: ClientError, code: str, status: int) -> Exception:
    """Return the meaning of an error of S3 below 500."""
    if _is_foreign(error, code):
        return DependencyFault("s3", "foreign_answer", f"status {status} without an error code of S3")
    if _is_missing_object(error, code, status):
        return Rejected("no_such_bucket" if code in NO_SUCH_BUCKET else "no_such_object")
    if code == "InvalidObjectState":
        return Rejected("archived", "the object is in an archive class; restore it and upload it again")
    # The policy or the encryption key of one object can forbid access while all others work.
    return SuspectFault("s3", "access_denied" if status == 403 else "refused", code)


def _is_foreign(error: ClientError, code: str) -> bool:
    """Return whether something else answered instead of S3, whose errors have a code in XML and a request id.

    botocore uses the status as the code if it cannot read the body.
    """
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders") or {}
    return not code.strip("0123456789") and "x-amz-request-id" not in headers


def _is_missing_object(error: ClientError, code: str, status: int) -> bool:
    """Return whether S3 says that it does not have the object."""
    if code == "InvalidArgument":  # also the code for a wrong KMS key or encryption header
        return "version id" in _message(error).lower()
    return code in NO_SUCH_OBJECT or status == 404


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message") or "")


def _model_error(dependency: str, response: Any) -> Exception:
    """Classify a ModelError by the status that the container returned.

    4xx blames the receipt, 5xx the endpoint, and so does 0: SageMaker reports so an answer that took longer than
    60 s (github.com/aws/amazon-sagemaker-examples/issues/799).
    """
    original = _original_status(response)
    if original == 429:
        return Throttled(dependency, "throttled", "ModelError 429")
    if original == 503:
        return DependencyFault(dependency, "model_unavailable", f"status {original}")
    if original in {502, 504}:  # the container's proxy: its server is down, or this receipt crashed it
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
