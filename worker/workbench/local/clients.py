"""AWS clients for the embedded stack, isolated from this process's AWS configuration."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from worker.aws.clients import Clients, config

TIMEOUT_S = 30


@asynccontextmanager
async def clients(environment: Mapping[str, str]) -> AsyncIterator[Clients]:
    """Yield clients for the stack of `environment`, and close them at the end."""
    session: Any = aioboto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        botocore_session=_isolated(empty_file=environment["AWS_CONFIG_FILE"]),
    )
    options: Any = config(timeout_s=TIMEOUT_S, connections=20).merge(AioConfig(proxies={}))
    async with AsyncExitStack() as stack:

        async def opened(service: str) -> Any:
            address = environment[f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"]
            return await stack.enter_async_context(session.client(service, endpoint_url=address, config=options))

        yield Clients(
            sqs=await opened("sqs"),
            s3=await opened("s3"),
            dynamodb=await opened("dynamodb"),
            sagemaker=await opened("sagemaker-runtime"),
        )


def _isolated(*, empty_file: str) -> AioSession:
    """Return a session with only botocore's defaults: it reads no variables, and `empty_file` for each file."""
    variables = {
        name: (None, None, default, conversion)
        for name, (_, _, default, conversion) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, empty_file, None))
    session = AioSession(session_vars=variables | files)
    # The session variables do not cover S3's own ones; the client's configuration sets what it needs.
    session.get_component("config_store").set_config_variable("s3", {})
    return session
