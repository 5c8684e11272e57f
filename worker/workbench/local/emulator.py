"""The AWS emulator, ministack, as a child process that listens only on loopback.

The stack calls `start`; the child runs this module as a script. The parent binds the port and passes the socket to the
child. So no other process can take the port in between, and an early client waits instead of failing.
"""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from worker.errors import ReceiptsError, SettingsError
from worker.workbench.local.environment import ACCESS_KEY, ACCOUNT, REGION
from worker.workbench.local.processes import Child, Family

HOST = "127.0.0.1"
SERVICES = "s3,sqs,dynamodb,sts,sns,events,monitoring"
START_S = 60.0
SAVE_S = 1.0
"""Shortest time between two saves of the state; a kill can lose this much."""
SAVE_SHARE = 20
"""Saving takes at most one part in SAVE_SHARE of the time."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback at `port`, or at a free port for 0.

    Raises `SettingsError` if the port is in use.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} cannot be used: {error.strerror}. Choose another port, or 0 for any free one."
        ) from error
    listener.listen(128)
    return listener


def url(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def environment(base: Mapping[str, str], *, port: int, scratch: Path, data: Path | None) -> dict[str, str]:
    """Return the child's environment: `scratch` is for temporary files, `data` for state that is kept."""
    keep = (
        {"PERSIST_STATE": "1", "STATE_DIR": str(data / "state"), "S3_PERSIST": "1", "S3_DATA_DIR": str(data / "s3")}
        if data
        else {"PERSIST_STATE": "0", "S3_PERSIST": "0", "S3_DATA_DIR": str(scratch / "s3")}
    )
    return {
        **base,
        **keep,
        "TMPDIR": str(scratch),
        "GATEWAY_PORT": str(port),
        "SERVICES": SERVICES,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        # The emulator checks signatures only of presigned links, with these keys of its root account.
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
        "LOG_LEVEL": "WARNING",
        # Otherwise it opens further ports, and removes containers of the user's Docker.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{scratch}/no-docker",
    }


async def start(
    family: Family,
    listener: socket.socket,
    *,
    base: Mapping[str, str],
    scratch: Path,
    data: Path | None,
    lock: int | None = None,
) -> Child:
    """Start the emulator on `listener`, close `listener` here, and return the emulator when it answers.

    `lock` is the descriptor of the lock on `data`; the emulator inherits it and holds it until it ends.
    """
    address = url(listener)
    with listener:
        child = await family.start(
            "emulator",
            *("-m", __name__, str(listener.fileno())),
            environment=environment(base, port=listener.getsockname()[1], scratch=scratch, data=data),
            pass_fds=(listener.fileno(), *([] if lock is None else [lock])),
        )
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(START_S)) as session,
            session.get(f"{address}/_ministack/health") as response,
        ):
            response.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ReceiptsError(f"The AWS emulator did not start:\n{child.tail()}") from error
    return child


async def serve(descriptor: int) -> None:
    """Run the emulator on the socket `descriptor` until SIGTERM, then save its state if it is kept."""
    import resource

    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack.app import app

    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = os.environ["LOG_LEVEL"]
    saving = asyncio.create_task(_keep_saving(), name="save") if os.environ["PERSIST_STATE"] == "1" else None
    await hypercorn_serve(app, config, shutdown_trigger=stopping.wait)
    if saving:
        saving.cancel()


async def _keep_saving() -> None:
    """Save the state repeatedly, each file atomically, because ministack itself saves only when it stops.

    Only a private function of ministack returns the state to save.
    """
    from ministack.app import _build_persistence_save_dict as states
    from ministack.core.persistence import save_all

    took_s = 0.0
    while True:
        await asyncio.sleep(max(SAVE_S, SAVE_SHARE * took_s))
        began = time.monotonic()
        save_all(states())
        took_s = time.monotonic() - began


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
