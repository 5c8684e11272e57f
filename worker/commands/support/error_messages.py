"""Errors of AWS, the network and files, each explained in one line with its cure if there is one."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """An error as it is shown to people."""

    sentence: str
    setting: bool = False
    """Whether the person must change a setting first, which is exit code 2."""


def explain(error: Exception) -> Trouble | None:
    """Return one line about a file error or an error of botocore; None for any other."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else "A file cannot be read or written: "
        return Trouble(f"{where}{error.strerror}")
    if "botocore" not in sys.modules:
        return None
    from botocore import exceptions as aws

    match error:
        case aws.NoCredentialsError() | aws.PartialCredentialsError() | aws.CredentialRetrievalError():
            return Trouble(
                "No AWS credentials were found. Sign in with `aws sso login` or set AWS_PROFILE; "
                "to use the stack on this machine instead: receipts --local …"
            )
        case aws.NoRegionError():
            return Trouble("No AWS region is set. Set AWS_REGION, such as AWS_REGION=eu-central-1.", setting=True)
        case aws.ProfileNotFound():
            return Trouble(f"{error}. Set AWS_PROFILE to one that `aws configure list-profiles` lists.", setting=True)
        case (
            aws.InvalidConfigError()
            | aws.InvalidDefaultsMode()
            | aws.InvalidRetryModeError()
            | aws.InvalidMaxRetryAttemptsError()
            | aws.InvalidSTSRegionalEndpointsConfigError()
            | aws.InvalidS3UsEast1RegionalEndpointConfigError()
        ):
            return Trouble(f"An AWS_* variable or the AWS configuration is invalid: {error}", setting=True)
        case ValueError() if str(error).startswith("Invalid endpoint: "):  # botocore has no exception type for this
            return Trouble(
                f"{error}. Write http://HOST:PORT or https://HOST in the AWS_ENDPOINT_URL variable or `endpoint_url`.",
                setting=True,
            )
        case aws.ClientError():
            answer = error.response.get("Error", {})
            return Trouble(f"AWS refused {error.operation_name}: {answer.get('Code')}: {answer.get('Message')}")
        case aws.BotoCoreError():
            return Trouble(f"AWS cannot be reached: {error}")
        case _:
            return None


def is_unreachable(error: Exception) -> bool:
    """Return whether botocore's `error` means that nothing answered at the address."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    return isinstance(error, NoConnection | HTTPClientError)
