"""The classification of each documented error: a fault of the dependency or of the receipt."""

from typing import Any

import aiohttp
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import DependencyFault, Failed, LeaseLost, ReceiptsError, Rejected, Throttled
from worker.resilience.faults import SuspectFault, classify


def client_error(code: str, status: int, message: str = "", **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "Call")


@pytest.mark.parametrize(
    ("dependency", "error", "kind", "reason"),
    [
        ("sagemaker", client_error("ThrottlingException", 400), Throttled, "throttled"),
        ("sagemaker", client_error("ModelNotReadyException", 429), Throttled, "throttled"),
        ("sagemaker", client_error("ServiceUnavailable", 503), DependencyFault, "server_error"),
        ("sagemaker", client_error("InternalFailure", 500), DependencyFault, "server_error"),
        ("sagemaker", client_error("InternalDependencyException", 530), DependencyFault, "server_error"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=400), Failed, "model_refused"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=422), Failed, "model_refused"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=429), Throttled, "throttled"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=500), SuspectFault, "model_error"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=0), SuspectFault, "model_error"),
        ("sagemaker", client_error("ModelError", 424), SuspectFault, "model_error"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=503), DependencyFault, "model_unavailable"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=502), SuspectFault, "model_unavailable"),
        ("sagemaker", client_error("ModelError", 424, OriginalStatusCode=504), SuspectFault, "model_unavailable"),
        ("sagemaker", ReadTimeoutError(endpoint_url="x"), SuspectFault, "timeout"),
        ("sagemaker", TimeoutError(), SuspectFault, "timeout"),
        ("sagemaker", ConnectTimeoutError(endpoint_url="x"), DependencyFault, "timeout"),
        ("s3", client_error("NoSuchKey", 404), Rejected, "no_such_object"),
        ("s3", client_error("NoSuchBucket", 404), Rejected, "no_such_bucket"),
        ("s3", client_error("InvalidBucketName", 400), Rejected, "no_such_bucket"),
        ("s3", client_error("InvalidArgument", 400, "Invalid version id specified"), Rejected, "no_such_object"),
        ("s3", client_error("InvalidArgument", 400, "Invalid KMS key id"), SuspectFault, "refused"),
        ("s3", client_error("404", 404), DependencyFault, "foreign_answer"),
        ("s3", client_error("403", 403), DependencyFault, "foreign_answer"),
        ("s3", client_error("", 404), DependencyFault, "foreign_answer"),
        ("s3", client_error("502", 502), DependencyFault, "server_error"),
        ("s3", client_error("KMS.ThrottlingException", 400), Throttled, "throttled"),
        ("s3", client_error("KmsThrottled", 400), Throttled, "throttled"),
        ("dynamodb", client_error("TransactionConflictException", 400), Throttled, "throttled"),
        ("sqs", client_error("OverLimit", 403), Throttled, "throttled"),
        ("s3", client_error("MethodNotAllowed", 405), Rejected, "no_such_object"),
        ("s3", client_error("InvalidObjectState", 403), Rejected, "archived"),
        ("s3", client_error("AccessDenied", 403), SuspectFault, "access_denied"),
        ("s3", client_error("SlowDown", 503), Throttled, "throttled"),
        ("dynamodb", client_error("ProvisionedThroughputExceededException", 400), Throttled, "throttled"),
        ("dynamodb", client_error("ResourceNotFoundException", 400), DependencyFault, "misconfigured"),
        ("sqs", client_error("RequestThrottled", 403), Throttled, "throttled"),
        ("sqs", TimeoutError(), DependencyFault, "timeout"),
        ("sqs", ConnectTimeoutError(endpoint_url="x"), DependencyFault, "timeout"),
        ("sqs", EndpointConnectionError(endpoint_url="x"), DependencyFault, "connection"),
        ("s3", aiohttp.ClientPayloadError(), DependencyFault, "connection"),
        ("s3", ConnectionResetError(), DependencyFault, "connection"),
        ("s3", ParamValidationError(report="x"), SuspectFault, "client_error"),
        ("s3", NoCredentialsError(), DependencyFault, "no_credentials"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:60],
)
def test_each_documented_error_has_its_meaning(
    dependency: str, error: Exception, kind: type[ReceiptsError], reason: str
) -> None:
    """Faults of the receipt are Rejected or Failed; those of the dependency are DependencyFault or Throttled."""
    known = classify(dependency, error)
    assert type(known) is kind
    assert getattr(known, "reason", None) == reason
    assert getattr(known, "dependency", dependency) == dependency


def test_an_unknown_error_passes_through() -> None:
    """An error of our own code is a bug and is not mistaken for an outage."""
    for error in (KeyError("x"), AttributeError(), LeaseLost("expired")):
        assert classify("s3", error) is error


@given(
    dependency=st.sampled_from(["s3", "sqs", "dynamodb", "sagemaker"]),
    code=st.text(max_size=30),
    status=st.integers(0, 599),
    original=st.none() | st.integers() | st.text(max_size=5),
)
def test_any_error_of_aws_is_classified(dependency: str, code: str, status: int, original: object) -> None:
    """Every code and status, known or not, is classified and has a reason."""
    known = classify(dependency, client_error(code, status, OriginalStatusCode=original))
    assert isinstance(known, DependencyFault | Failed | Rejected)
    assert known.reason.isidentifier()


async def test_expired_credentials_from_a_credential_endpoint_are_an_outage() -> None:
    """botocore's own error for them, raised by its own refresh, makes the worker wait."""
    past = "2000-01-01T00:00:00Z"

    async def refresh() -> dict[str, str]:
        return {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": past}

    credentials = AioRefreshableCredentials.create_from_metadata(
        await refresh(), refresh_using=refresh, method="container-role"
    )
    with pytest.raises(RuntimeError) as raised:
        await credentials.get_frozen_credentials()
    fault = classify("s3", raised.value)
    assert isinstance(fault, DependencyFault)
    assert (fault.dependency, fault.reason) == ("s3", "credentials_expired")


def test_any_other_runtime_error_is_a_bug() -> None:
    """It passes through unchanged."""
    error = RuntimeError("dictionary changed size during iteration")
    assert classify("s3", error) is error


def test_credentials_that_cannot_be_obtained_make_no_receipt_a_suspect() -> None:
    """An error of the credential provider is an outage for every receipt."""
    error = CredentialRetrievalError(provider="container-role", error_msg="timed out")
    fault = classify("s3", error)
    assert type(fault) is DependencyFault
    assert fault.reason == "no_credentials"
