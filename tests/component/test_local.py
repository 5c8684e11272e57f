"""`receipts local` with the real reader and its own processes, from the start to Ctrl-C."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.component.container import Container, served
from worker.aws import uploads
from worker.receipts.receipt import Receipt
from worker.results.polling import wait_for
from worker.workbench.local.emulator import listen
from worker.workbench.local.samples import FILES, truth
from worker.workbench.local.stack import Stack, free_port

ODD = Path(__file__).parents[3] / "shared" / "receipts" / "odd"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command, so that a test sees the files it leaves."""
    path, runtime = tmp_path / "place", tmp_path / "runtime"
    path.mkdir()
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return path


@asynccontextmanager
async def receipts(*arguments: str | Path, cwd: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command in the background and yield its process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", *map(str, arguments)),
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def record(process: asyncio.subprocess.Process, *, within_s: float = 240) -> Any:
    """Return the next record that the command prints."""
    assert process.stdout
    return json.loads(await asyncio.wait_for(process.stdout.readline(), within_s))


def said(receipt: dict[str, Any]) -> Any:
    """Return a receipt's values, ignoring case, blanks and trailing zeros."""
    return _plain(Receipt.model_validate(receipt).model_dump())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return "".join(value.casefold().split()) if isinstance(value, str) else value


async def test_the_samples_are_read_correctly(place: Path, tmp_path: Path) -> None:
    """Every field of every sample is right, a file in the inbox is read, and Ctrl-C leaves no files."""
    async with receipts("local", "--json", cwd=place) as process:
        found = {row["document"].rpartition("/")[2]: row for row in [await record(process) for _ in truth()]}
        assert {name: said(row["receipt"]) for name, row in found.items()} == {
            name: said(row) for name, row in truth().items()
        }
        assert {(row["status"], *row["checks"]) for row in found.values()} == {("extracted",)}
        async with asyncio.timeout(30):
            while not (place / "inbox").exists():
                await asyncio.sleep(0.1)
        shutil.copy(FILES / "de-supermarket-card.jpg", place / "inbox" / "Beleg für Köln.jpg")
        arrived = await record(process)
        assert arrived["document"] == "receipts/inbox/Beleg für Köln.jpg"
        assert arrived["answered_from"] == "receipts/samples/de-supermarket-card.jpg"
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert [path.name for path in place.iterdir()] == ["inbox"]
    assert list((tmp_path / "runtime").iterdir()) == []


async def test_a_worker_starts_when_a_receipt_arrives(place: Path) -> None:
    """From zero workers, a receipt starts one, a note reports it, and the receipt is read."""
    arguments = ("--workers", "0", "--max-workers", "2", "--once", "--json")
    async with receipts("local", *arguments, FILES / "de-supermarket-card.jpg", cwd=place) as process:
        out, err = await asyncio.wait_for(process.communicate(), 240)
    assert json.loads(out)["status"] == "extracted"
    assert "Workers: 0 to 1" in err.decode()
    assert process.returncode == 0


async def test_the_console_runs_without_workers_and_shows_their_number(place: Path) -> None:
    """The console answers while no worker runs, and shows the number of workers."""
    port = free_port(0)
    arguments = ("--workers", "0", "--max-workers", "2", "--http-port", str(port), "--json")
    async with (
        receipts("local", *arguments, FILES / "de-supermarket-card.jpg", cwd=place) as process,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        seen: set[int] = set()
        async with asyncio.timeout(240):
            while not {0, 1} <= seen:  # the worker reads the receipt and is stopped again
                await asyncio.sleep(0.1)
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get("/v1/live") as answer:
                        seen |= {sample["tasks"] for sample in (await answer.json())["samples"]}
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0


async def test_once_exits_with_1_unless_all_are_extracted(place: Path, tmp_path: Path) -> None:
    """A good receipt and an empty file of the same name give two records and exit 1, and leave no files."""
    (place / "other").mkdir()
    empty = place / "other" / "de-supermarket-card.jpg"
    empty.touch()
    async with receipts("local", "--once", "--json", FILES / empty.name, empty, cwd=place) as process:
        out, err = await asyncio.wait_for(process.communicate(), 240)
    rows = {row["document"]: row["status"] for row in map(json.loads, out.splitlines())}
    assert rows == {
        "receipts/de-supermarket-card.jpg": "extracted",
        "receipts/de-supermarket-card-2.jpg": "rejected",
    }
    assert "another file has its name" in err.decode()
    assert process.returncode == 1
    assert [path.name for path in place.iterdir()] == ["other"]
    assert list((tmp_path / "runtime").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--once",), "--once needs the files to read"),
        (("--once", "."), "is a directory"),
        (("nothing.jpg",), "does not exist"),
        (("--aws-port", "8123", "--model-port", "8123"), "--aws-port and --reader-port are both 8123"),
        (("--workers", "0"), "--workers may be 0 only with --max-workers"),
        (("--workers", "3", "--max-workers", "2"), "and must not exceed it"),
    ],
    ids=["no files", "a directory", "a missing file", "a port twice", "no workers", "fewest above most"],
)
async def test_misuse_is_refused_before_anything_starts(
    place: Path, arguments: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Misuse is exit 2 and one sentence on stderr."""
    monkeypatch.setenv("COLUMNS", "200")
    async with receipts("local", *arguments, cwd=place) as process:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, out) == (2, b"")
    assert sentence in " ".join(err.decode().split())


async def test_a_failed_start_is_not_a_failed_receipt(place: Path) -> None:
    """A port in use, or a data directory that cannot be created, is exit 2 and one line."""
    (place / "file").touch()
    with listen(0) as taken:
        port = str(taken.getsockname()[1])
        for arguments, sentence in ((("--aws-port", port), f"Port {port}"), (("--data", "file/data"), "file/data")):
            async with receipts("local", "--once", *arguments, FILES / "fr-bistro.png", cwd=place) as process:
                out, err = await asyncio.wait_for(process.communicate(), 60)
            assert (process.returncode, out) == (2, b"")
            assert sentence in err.decode()
            assert err.count(b"\n") == 1


@pytest.mark.shared
@pytest.mark.skipif(not ODD.exists(), reason="needs the odd files beside the project")
async def test_odd_files_get_the_expected_status(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Unreadable files are rejected, readable ones reach the reader, and no receipt or process fails."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    rows = [json.loads(line) for line in (ODD / "expect.jsonl").read_text().splitlines()]
    expected = {row["file"]: row["expect"] for row in rows}
    found: dict[str, str] = {}
    async with served(Container()) as url, Stack(container_url=url) as stack:
        bucket = stack.resources.bucket
        sent = [await uploads.put(stack.clients.s3, ODD / "files" / name, bucket=bucket, key=name) for name in expected]
        async with asyncio.timeout(240):
            async for upload, row in wait_for(stack.clients.dynamodb, stack.resources.table, sent):
                found[upload.key] = row.status
        assert stack.deaths.empty()
    assert set(found.values()) <= {"extracted", "needs_review", "rejected"}
    refused = {name for name, expect in expected.items() if expect.startswith("refused") and " or " not in expect}
    read = {name for name, expect in expected.items() if expect.startswith("ok") and " refus" not in expect}
    assert {name for name in refused if found[name] != "rejected"} == set()
    assert {name for name in read if found[name] == "rejected"} == set()
