"""The environment of the embedded stack: what makes a process speak to it, and to nothing else.

The stack's processes never see the user's own AWS configuration: every variable of it is taken out, the files it lives
in are named away, and each service gets an endpoint on loopback. A stack that runs leaves its environment in a
directory of the user's, so that another terminal can join it; the directory goes when the stack goes.
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
"""Services that the emulator answers for, as AWS_ENDPOINT_URL_* spells them."""


def aws(*, emulator_url: str, runtime_url: str) -> dict[str, str]:
    """Return the AWS_* variables that lead every service to the emulator and the SageMaker runtime to `runtime_url`."""
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
        # botocore takes a proxy from the environment; none leads to loopback.
        "NO_PROXY": "*",
        "no_proxy": "*",
    }


def aws_command(environment: Mapping[str, str], *arguments: str) -> str:
    """Return a shell line that runs the AWS CLI with `arguments` against the stack, whatever the shell has set."""
    variables = (f"{name}={environment[name]}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    # A profile that the shell names must be one that the CLI can find, even where it is not used.
    without = ["env", "-u", "AWS_PROFILE"] if "AWS_PROFILE" in os.environ else []
    where = ("--region", environment["AWS_REGION"], "--endpoint-url", environment["AWS_ENDPOINT_URL"])
    return " ".join([*without, *variables, "aws", shlex.join([*arguments, *where])])
