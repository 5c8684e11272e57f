"""What AWS, a file or the way to them answered: one line for a person, with the cure where there is one."""

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Trouble:
    """What went wrong, as a person hears it."""

    sentence: str
    setting: bool = False
    """It stays so until the person sets something else: exit 2."""


def explain(error: Exception) -> Trouble | None:
    """Return one line for an error of botocore's or of a file; None for any other."""
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
                "for what runs on this machine: receipts --local …"
            )
        case aws.NoRegionError():
            return Trouble("No AWS region is set. Set AWS_REGION, such as AWS_REGION=eu-central-1.", setting=True)
        case aws.ProfileNotFound():
            return Trouble(
                f"{error}. AWS_PROFILE names it; `aws configure list-profiles` lists what there is.", setting=True
            )
        case (
            aws.InvalidConfigError()
            | aws.InvalidDefaultsMode()
            | aws.InvalidRetryModeError()
            | aws.InvalidMaxRetryAttemptsError()
            | aws.InvalidSTSRegionalEndpointsConfigError()
            | aws.InvalidS3UsEast1RegionalEndpointConfigError()
        ):
            return Trouble(f"An AWS_* variable or the AWS configuration cannot work: {error}", setting=True)
        case ValueError() if str(error).startswith("Invalid endpoint: "):  # botocore has no type for it
            return Trouble(
                f"{error}. An AWS_ENDPOINT_URL variable or `endpoint_url` names it; write http://HOST:PORT or https://HOST.",
                setting=True,
            )
        case aws.ClientError():
            answer = error.response.get("Error", {})
            return Trouble(f"AWS refused {error.operation_name}: {answer.get('Code')}: {answer.get('Message')}")
        case aws.BotoCoreError():
            return Trouble(f"AWS cannot be reached: {error}")
        case _:
            return None


def nobody_answered(error: Exception) -> bool:
    """Tell whether `error` of botocore's says that nothing answered at an address, whoever asks."""
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    return isinstance(error, NoConnection | HTTPClientError)
