import asyncio
import base64
import io
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image, ImageDraw, ImageFont

from worker.reader.server import POOL, create_app
from worker.receipts.receipt import Reading

pytestmark = pytest.mark.asyncio(loop_scope="module")

Client = TestClient[web.Request, web.Application]
START_S = 120

TILL = (
    ("Corner Shop", ""),
    ("12 Mill Lane, Leeds", ""),
    ("2024-05-17", "14:05"),
    ("Bread", "2.50"),
    ("Cheese", "9.84"),
    ("TOTAL", "12.34"),
)


def picture(rows: tuple[tuple[str, str], ...] = TILL, *, form: str = "PNG") -> bytes:
    """Return a drawn receipt: words on the left, amounts on the right."""
    page = Image.new("RGB", (480, 60 + 44 * len(rows)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(28)
    for number, (left, right) in enumerate(rows):
        pen.text((30, 30 + 44 * number), left, "black", font)
        pen.text((360, 30 + 44 * number), right, "black", font)
    file = io.BytesIO()
    page.save(file, form)
    return file.getvalue()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_app(processes=1, threads=1, waiting=3))) as client:
        assert (await client.get("/ping")).status == 503
        await asyncio.wait_for(client.app[POOL].wait_ready(), START_S)
        yield client


async def test_ping_succeeds_once_the_networks_run(client: Client) -> None:
    """A ping returns 503 while the reader starts (see the fixture) and 200 afterwards."""
    assert (await client.get("/ping")).status == 200


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
async def test_picture_bytes_become_a_reading(client: Client, form: str) -> None:
    """The total of a drawn receipt is read from a picture in any format."""
    answer = await client.post(
        "/invocations", data=picture(form=form), headers={"Content-Type": f"image/{form.lower()}"}
    )
    assert answer.status == 200, await answer.text()
    assert Reading.model_validate(await answer.json()).receipt.total == Decimal("12.34")


async def test_pages_are_one_receipt(client: Client) -> None:
    """A name on the first page and a total on the second are in one reading."""
    pages = [base64.b64encode(picture(part)).decode() for part in (TILL[:3], TILL[3:])]
    answer = await client.post("/invocations", json={"images": pages})
    receipt = Reading.model_validate(await answer.json()).receipt
    assert (receipt.merchant.name, receipt.total) == ("Corner Shop", Decimal("12.34"))


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"no picture", "image/jpeg", 400),
        (picture()[:900], "image/png", 400),
        (b"{}", "application/json", 400),
        (b'{"image": 7}', "application/json", 400),
        (b'{"images": []}', "application/json", 400),
        (b'{"image": "***"}', "application/json", 400),
        (b"[" * 10_000, "application/json", 400),
        (b"TOTAL 1.00", "text/plain", 415),
        (bytes(33 * 1024 * 1024), "image/jpeg", 413),
    ],
)
async def test_an_unreadable_request_gets_an_error_message(
    client: Client, body: bytes, media_type: str, status: int
) -> None:
    """A bad request gets a status and a JSON error, and the next request is read normally."""
    answer = await client.post("/invocations", data=io.BytesIO(body), headers={"Content-Type": media_type})
    assert answer.status == status
    assert (await answer.json())["error"]
    assert (await client.get("/ping")).status == 200


async def test_more_calls_than_can_wait_are_refused(client: Client) -> None:
    """If 3 of 8 concurrent calls may wait, the other 5 get 503, and the 3 are answered."""
    calls = (client.post("/invocations", data=picture(), headers={"Content-Type": "image/png"}) for _ in range(8))
    statuses = sorted([answer.status for answer in await asyncio.gather(*calls)])
    assert statuses == [200] * 3 + [503] * 5


async def test_a_killed_process_is_replaced(client: Client) -> None:
    """A call whose process is killed gets 503, and the pool restarts and reads again."""
    headers = {"Content-Type": "image/png"}
    call = asyncio.create_task(client.post("/invocations", data=picture(), headers=headers))
    executor = client.app[POOL]._executor
    assert executor
    await asyncio.sleep(0)  # the request is under way
    for process in executor._processes.values():
        process.kill()
    assert (await call).status == 503
    await asyncio.wait_for(client.app[POOL].wait_ready(), START_S)
    assert (await client.post("/invocations", data=picture(), headers=headers)).status == 200


async def test_the_process_serves_and_ends_cleanly() -> None:
    """The server answers on its port, and SIGTERM ends it with exit code 0 and without child processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (sys.executable, "-m", "worker.reader", "serve", "--port", str(port), "--processes", "1")
    server = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(START_S), ClientSession() as session:
            while not await _ready(session, f"http://127.0.0.1:{port}/ping"):
                pass
            answer = await session.post(
                f"http://127.0.0.1:{port}/invocations", data=picture(), headers={"Content-Type": "image/png"}
            )
            assert (await answer.json())["receipt"]["total"] == "12.34"
        children = _children(server.pid)
        assert children
        os.kill(server.pid, signal.SIGTERM)
        assert await asyncio.wait_for(server.wait(), 30) == 0
        assert await _gone(children)
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


async def _ready(session: ClientSession, url: str) -> bool:
    """Return whether a ping succeeds; after a failure, wait a moment."""
    try:
        async with session.get(url) as answer:
            ready = answer.status == 200
    except ClientError:
        ready = False
    if not ready:
        await asyncio.sleep(0.1)
    return ready


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def _gone(pids: list[int]) -> bool:
    """Return whether the processes end within ten seconds."""
    for _ in range(100):
        if not any(map(_exists, pids)):
            return True
        await asyncio.sleep(0.1)
    return False


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
