"""The stack's own AWS clients, which know the stack alone: nothing of this process's AWS configuration reaches them."""

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
    """Open clients that speak to the stack of `environment` and close them at the end."""
    session: Any = aioboto3.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
        botocore_session=_sealed(nothing=environment["AWS_CONFIG_FILE"]),
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


def _sealed(*, nothing: str) -> AioSession:
    """Return a session that has botocore's defaults and nothing else: no variable, and `nothing` for a file."""
    variables = {
        name: (None, None, default, conversion)
        for name, (_, _, default, conversion) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    files = dict.fromkeys(("config_file", "credentials_file"), (None, None, nothing, None))
    session = AioSession(session_vars=variables | files)
    # S3's own variables are not among the session's; what a client needs of them stands in its own configuration.
    session.get_component("config_store").set_config_variable("s3", {})
    return session
