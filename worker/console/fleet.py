"""The number of running tasks: from ECS if this is an ECS task, from the embedded stack's file, or else 1."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import structlog
from botocore.exceptions import BotoCoreError, ClientError

from worker.aws.clients import session

log = structlog.get_logger(__name__)

KEEP_S: Final = 15.0
"""Seconds for which the count is cached."""
METADATA: Final = "ECS_CONTAINER_METADATA_URI_V4"
COUNT_FILE: Final = "RECEIPTS_FLEET_FILE"
"""Environment variable with the path of a file that holds the number of workers. The embedded stack writes it."""


class Fleet:
    """The service that this task belongs to."""

    def __init__(
        self, *, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = environment.get(METADATA)
        self._file = Path(environment[COUNT_FILE]) if COUNT_FILE in environment else None
        self._clock = clock
        self._asked_at = float("-inf")
        self._count: int | None = None if self._url else 1

    async def count(self) -> int | None:
        """Return the number of running tasks, at most `KEEP_S` seconds old, or None if ECS cannot be asked."""
        if self._url and self._clock() - self._asked_at > KEEP_S:
            self._asked_at = self._clock()
            try:
                self._count = await _ask(self._url)
            except (aiohttp.ClientError, TimeoutError, BotoCoreError, ClientError, LookupError) as error:
                log.info("fleet.unknown", error=type(error).__name__)
                self._count = None
        if self._file:
            with contextlib.suppress(OSError, ValueError):
                return int(self._file.read_text())
        return self._count


async def _ask(url: str) -> int:
    """Return how many tasks of this task's service run. The task's metadata names the service.

    Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-response.html.
    """
    timeout = aiohttp.ClientTimeout(total=3)
    async with aiohttp.ClientSession(timeout=timeout) as http, http.get(f"{url}/task") as answer:
        task: dict[str, Any] = await answer.json()
    async with session().client("ecs") as ecs:
        found = await ecs.describe_services(cluster=task["Cluster"], services=[task["ServiceName"]])
    return int(found["services"][0]["runningCount"])
