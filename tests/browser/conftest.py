"""Fixtures: Chromium and a real worker. Without Chromium, the tests are skipped."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.component.conftest import (  # fixtures of the component tests, with one emulator
    _emulators,
    _scratch,
    aws,
    aws_environment,
    specs,
)
from tests.component.emulators import Aws, Emulator, Emulators
from tests.support.endpoint import FakeEndpoint
from worker.runtime.worker import Worker
from worker.settings import Settings

__all__ = ["_emulators", "_scratch", "aws", "aws_environment", "specs"]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = Path(__file__).parents[2] / "build" / "screenshots"
"""Directory of screenshots. CI keeps them for review by people."""


@pytest.fixture
def emulator(_emulators: Emulators) -> Emulator:
    """The emulator that the embedded stack runs."""
    return _emulators.get("ministack")


@dataclass
class Console:
    """A worker with its console, and the endpoint that answers it."""

    url: str
    aws: Aws
    endpoint: FakeEndpoint


@pytest.fixture
async def console(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Console]:
    """Run a worker with its console until the test is over."""
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(FakeEndpoint().serve())
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", endpoint.url)
        settings = Settings(**(aws.settings.model_dump() | {"console": True, "http_port": 0, "drain_s": 5}))
        worker = await stack.enter_async_context(Worker(settings))
        running = asyncio.create_task(worker.run())
        while not worker.address:
            await asyncio.sleep(0.02)
            assert not running.done()
        host, port = worker.address
        try:
            yield Console(f"http://{host}:{port}", aws, endpoint)
        finally:
            worker.stop()
            await running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("the console is not tested in a browser: Chromium is missing (apt-get install chromium)")
    async with async_playwright() as playwright:
        # Its sandbox needs user namespaces, which root in a container lacks. It only opens our own pages.
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        await launched.close()


async def open_page(browser: Browser, **options: Any) -> tuple[BrowserContext, Page, list[str]]:
    """Return a new context, its page, and a list that collects the page's errors."""
    context = await browser.new_context(**({"viewport": {"width": 1360, "height": 880}} | options))
    page = await context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if _is_trouble(message) else None)
    return context, page, errors


def _is_trouble(message: Any) -> bool:
    """Return whether a message is an error. A 404 for the record of a new upload is expected."""
    return message.type == "error" and "404" not in message.text


async def picture_of(page: Page, name: str) -> None:
    """Save a screenshot."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")
