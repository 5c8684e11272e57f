"""The commands in docs/results-table.md work as printed."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.component.differences import DIFFERENCES
from tests.component.emulators import Aws
from tests.component.records import put, record
from worker.aws.resources import LISTED, TableSpec
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record
from worker.workbench.local.samples import sample_files, truth

DOCUMENT = Path(__file__).parents[2] / "docs" / "results-table.md"
TEXT = DOCUMENT.read_text()
LINES = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
FLAGS = {"no-scan-index-forward": ("ScanIndexForward", False)}
NUMBERS = {"limit"}


def arguments(line: str) -> tuple[str, dict[str, Any]]:
    """Return the operation of an AWS CLI line and its parameters, as the AWS CLI reads them."""
    words = shlex.split(line.replace("\\\n", " "))
    assert words[:2] == ["aws", "dynamodb"]
    found: dict[str, Any] = {}
    left = words[3:]
    while left:
        name = left.pop(0).removeprefix("--")
        if name in FLAGS:
            found[FLAGS[name][0]] = FLAGS[name][1]
            continue
        value = left.pop(0)
        key = "".join(part.capitalize() for part in name.split("-"))
        found[key] = json.loads(value) if value.startswith("{") else int(value) if name in NUMBERS else value
    return words[2].replace("-", "_"), found


def samples() -> Iterator[Record]:
    """Return the records of the samples as `make run` stores them, with perfect readings."""
    for number, file in enumerate(sample_files()):
        yield record(
            number,
            document=f"receipts/samples/{file.name}",
            said=Receipt.model_validate(truth()[file.name]),
            content_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )


@pytest.mark.parametrize("line", LINES, ids=[line.split()[2] + str(at) for at, line in enumerate(LINES)])
async def test_each_printed_command_finds_records(aws: Aws, line: str) -> None:
    """Each printed command finds at least one record in a table with the samples."""
    if aws.emulator.name == "moto" and '"."by_' in line:
        pytest.skip(DIFFERENCES["moto", "partiql_index"])
    table = aws.resources.table
    await put(aws, samples())
    operation, asked = arguments(
        line.replace('"receipts"', f'"{table}"').replace("--table-name receipts", f"--table-name {table}")
    )
    answer = await getattr(aws.clients.dynamodb, operation)(**asked)
    assert answer.get("Item") or answer.get("Items"), line


def test_the_document_names_every_attribute_and_index() -> None:
    """The document describes every attribute of a record and every index."""
    for name in {*Record.model_fields, *LISTED, *(index.name for index in TableSpec().indexes)}:
        assert f"`{name}`" in TEXT, name
