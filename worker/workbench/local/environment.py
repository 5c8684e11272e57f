"""The environment of the embedded stack: variables with which a process uses the stack and nothing else.

The stack's processes never see the user's AWS configuration. All its variables are removed, its files are replaced by
/dev/null, and each service gets an endpoint on loopback. A running stack publishes its environment in a directory of
the user, so that another terminal can join it. The directory is removed when the stack ends.
"""

import os
import shlex
from collections.abc import Mapping

REGION = "us-east-1"
ACCOUNT = "000000000000"
ACCESS_KEY = "local"
ENDPOINT = "receipts"
"""The name of the stack's SageMaker endpoint."""
SERVICES = ("S3", "SQS", "DYNAMODB", "STS", "ECS", "CLOUDWATCH", "APPLICATION_AUTO_SCALING", "SAGEMAKER")
"""Services of the emulator, as AWS_ENDPOINT_URL_* spells them."""


def aws(*, emulator_url: str, runtime_url: str) -> dict[str, str]:
    """Return the AWS_* variables that direct the SageMaker runtime to `runtime_url` and all else to the emulator."""
    return {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": emulator_url,
        **{f"AWS_ENDPOINT_URL_{service}": emulator_url for service in SERVICES},
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime_url,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        # botocore takes a proxy from the environment; loopback must not use one.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def aws_command(environment: Mapping[str, str], *arguments: str) -> str:
    """Return a shell line that runs the AWS CLI with `arguments` against the stack, in any shell environment."""
    variables = (f"{name}={environment[name]}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    # The CLI fails if AWS_PROFILE names a missing profile, even if it does not use it.
    without = ["env", "-u", "AWS_PROFILE"] if "AWS_PROFILE" in os.environ else []
    where = ("--region", environment["AWS_REGION"], "--endpoint-url", environment["AWS_ENDPOINT_URL"])
    return " ".join([*without, *variables, "aws", shlex.join([*arguments, *where])])
