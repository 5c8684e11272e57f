"""`receipts evaluate` with the embedded reader and with an endpoint."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.support.endpoint import FakeEndpoint

TRUTH = {
    "file": "till.png",
    "merchant": "Corner Shop",
    "date": "2024-05-17",
    "total": "12.34",
    "line_items": [{"description": "Bread", "amount": "2.50"}, {"description": "Cheese", "amount": "9.84"}],
}


def draw(path: Path) -> None:
    rows = [("Corner Shop", ""), ("2024-05-17", "14:05"), ("Bread", "2.50"), ("Cheese", "9.84"), ("TOTAL", "12.34")]
    page = Image.new("RGB", (480, 340), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(28)
    for number, (left, right) in enumerate(rows):
        pen.text((30, 30 + 44 * number), left, "black", font)
        pen.text((360, 30 + 44 * number), right, "black", font)
    page.save(path)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    draw(tmp_path / "images" / "till.png")
    (tmp_path / "images" / "note.jpg").write_text("no picture")
    file = tmp_path / "truth.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in (TRUTH, {"file": "note.jpg", "total": "1"})))
    return file


async def evaluate(*arguments: object, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "worker", "evaluate", *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"PATH": ""},
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_embedded_reader_is_evaluated(truth: Path, tmp_path: Path) -> None:
    """A drawn receipt is read completely, a file that is not a picture fails, and the report lists it."""
    page = tmp_path / "report.html"
    code, out, err = await evaluate("--truth", truth, "--json", "--html", page, "--at-least", "total=0.5")
    assert code == 0, err
    run = json.loads(out)
    till, note = run["receipts"]
    assert {name: field["verdict"] for name, field in till["fields"].items()} == dict.fromkeys(
        ("merchant", "date", "total"), "right"
    )
    assert till["items"] == {"truth": 2, "read": 2, "paired": 2}
    assert note["status"] == "failed"
    assert "not_an_image" in note["error"]
    assert "note.jpg" in page.read_text("utf-8")


async def test_an_endpoint_is_evaluated_and_compared(truth: Path, tmp_path: Path) -> None:
    """An endpoint is compared with an earlier run, and a missed goal is exit 1."""

    def wrong(_: bytes) -> bytes:
        answer: dict[str, Any] = {"receipt": {"merchant": {"name": "Corner Shop"}, "total": "99.99"}}
        return json.dumps(answer).encode()

    earlier = tmp_path / "earlier.json"
    async with FakeEndpoint(answer=wrong).serve() as endpoint:
        aws = {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        code, out, err = await evaluate("--truth", truth, "--endpoint", "reader", "--json", **aws)
        assert code == 0, err
        earlier.write_text(out)
        goal = ("--at-least", "total=0.5")
        code, out, err = await evaluate("--truth", truth, "--endpoint", "reader", "--against", earlier, *goal, **aws)
    assert code == 1
    assert "total 0.000 < 0.5" in err
    assert "0.0 %" in out


@pytest.mark.parametrize("wrong", ["state", "address"])
async def test_an_endpoint_that_does_not_answer_ends_the_evaluation(truth: Path, wrong: str) -> None:
    """An outage ends the evaluation with one line and exit 1."""
    async with FakeEndpoint(down=True).serve() as endpoint:
        aws = {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": endpoint.url if wrong == "state" else "http://127.0.0.1:9",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        quick = {"RECEIPTS_CALL_BASE_S": "0.01", "RECEIPTS_CALL_CAP_S": "0.02"}
        code, _, err = await evaluate("--truth", truth, "--endpoint", "reader", **aws, **quick)
    assert code == 1
    assert "The endpoint reader does not answer: " in err


async def test_missing_files_are_reported_before_reading(truth: Path, tmp_path: Path) -> None:
    """Missing pictures, or a missing folder of the report, are exit 2 at once."""
    for wrong, sentence in (
        (("--images", tmp_path / "none"), "2 of 2 pictures are not in"),
        (("--html", tmp_path / "none" / "report.html"), "the directory does not exist"),
    ):
        code, _, err = await evaluate("--truth", truth, *wrong)
        assert code == 2
        assert sentence in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--truth", "/nowhere"), "cannot be read"),
        (("--truth", "/dev/null"), "names no receipt"),
        (("--truth", "x", "--at-least", "luck=2"), "--at-least"),
    ],
)
async def test_invalid_input_is_reported_in_one_line(arguments: tuple[str, ...], sentence: str) -> None:
    """An invalid truth or goal is exit 2 and one line."""
    code, _, err = await evaluate(*arguments)
    assert code == 2
    assert sentence in err
    assert len(err.strip().splitlines()) == 1
