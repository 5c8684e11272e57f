"""Odd files from outside the repository, processed by a worker."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.component.emulators import Aws
from tests.component.stage import CONCURRENT, empty, left, record, until, upload, working
from tests.support.endpoint import FakeEndpoint

ODD = Path(__file__).parents[2] / ".." / "shared" / "receipts" / "odd"


@CONCURRENT
@pytest.mark.shared
@pytest.mark.skipif(not ODD.exists(), reason="the odd files are not here")
async def test_odd_files_become_records(aws: Aws, endpoint: FakeEndpoint, fast: dict[str, Any]) -> None:
    """Each odd file becomes a record, either extracted or rejected with a reason, and the worker continues."""
    expected = [json.loads(line) for line in (ODD / "expect.jsonl").read_text().splitlines()]
    async with working(fast, decoders=2):
        for wanted in expected:
            await upload(aws, wanted["file"], (ODD / "files" / wanted["file"]).read_bytes())
        await until(lambda: empty(aws), seconds=200)
    assert await left(aws, aws.resources.dead_letter_url) == 0
    rows = {wanted["file"]: await record(aws, wanted["file"]) for wanted in expected}
    assert [name for name, row in rows.items() if row is None] == []
    for wanted in expected:
        row = rows[wanted["file"]]
        assert row is not None
        if wanted["expect"] == "ok":
            assert row.status in {"extracted", "needs_review"}, (wanted, row.reason)
        elif wanted["expect"].startswith("refused:"):
            assert row.status == "rejected", wanted
            assert row.reason, wanted
