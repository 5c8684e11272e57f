"""The report: one HTML file with the scores, the reliability of confidence, and the worst receipts with pictures.

It has no scripts and no external resources. Every value is escaped, because the text of a receipt is not trusted.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageOps

from worker.workbench.evaluation.runs import Change, Run
from worker.workbench.evaluation.scores import ReceiptScore, Verdict, counts_as_right
from worker.workbench.evaluation.truth import MAIN

WORST: Final = 40
_PICTURE: Final = (420, 620)
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--good:#2e7d32;--bad:#c62828;--none:#8d6e00}
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
section.r{display:flex;gap:1.5rem;border-top:1px solid var(--line);padding:1rem 0}
section.r img{max-width:18rem;max-height:26rem;object-fit:contain}h3{margin:.2rem 0;overflow-wrap:anywhere}
.right,.close{color:var(--good)}.wrong{color:var(--bad);font-weight:600}.abstained{color:var(--none)}
.bar{display:inline-block;height:.7em;background:currentColor;opacity:.55}
"""


def html(run: Run, *, images: Path, against: Run | None = None, changes: Sequence[Change] = ()) -> str:
    """Return the report of a run as HTML; `images` is the folder of its pictures."""
    summary = run.as_json()["summary"]
    worst = sorted((one for one in run.receipts if blame(one) > 0), key=blame, reverse=True)
    parts = [
        f"<h1>Reading of {summary['receipts']} receipts by {escape(run.model)}</h1>",
        _fields(summary),
        _decision(summary, run.threshold),
        *(_reliability(name, summary["calibration"][name]) for name in MAIN),
        _changes(against, changes) if against else "",
        f"<h2>Receipts with errors: {len(worst)}"
        + (f", the worst {WORST} shown" if len(worst) > WORST else "")
        + "</h2>",
        *(_receipt(one, images) for one in worst[:WORST]),
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f'<meta http-equiv=Content-Security-Policy content="{_POLICY}">'
        f"<title>Receipts evaluated</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    )


def blame(one: ReceiptScore) -> float:
    """Return how bad a reading is. A wrong value weighs more the higher its confidence; a null weighs little."""
    points = 0.0
    for name, field in one.fields.items():
        weight = 1.0 if name in MAIN else 0.2
        if field.verdict is Verdict.ABSTAINED:
            points += 0.3 * weight
        elif not counts_as_right(name, field.verdict):
            points += weight * (0.5 + (field.confidence if field.confidence is not None else 0.5))
    return points


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table of cells that already are HTML."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def percent(share: float | None) -> str:
    """Return a share of 1 as a percentage, or a dash for None."""
    return "-" if share is None else f"{share * 100:.1f} %"


def _fields(summary: dict[str, Any]) -> str:
    rows = [
        (name, str(field["known"]), *(percent(field[key]) for key in ("exact", "fuzzy", "abstained", "wrong")))
        for name, field in summary["fields"].items()
    ]
    table = _table(("field", "known", "exact", "fuzzy", "abstained", "wrong"), rows)
    return f"<h2>Fields</h2>{table}<p>Receipts with merchant, date and total right: {percent(summary['all_main'])}</p>"


def _decision(summary: dict[str, Any], threshold: float) -> str:
    decision, items = summary["decision"], summary["items"]
    rows = [
        ("marked as extracted", percent(decision["extracted"])),
        ("of those, the total is right", percent(decision["total_right_of_extracted"])),
        ("of those, merchant, date and total are right", percent(decision["all_main_right_of_extracted"])),
        (f"items paired by description and amount, of {items['truth']}", percent(items["paired"])),
        ("failed to read", str(summary["failed"])),
        ("median time", f"{summary['median_ms']} ms"),
    ]
    return f"<h2>At a threshold of {threshold}</h2>{_table(('', ''), rows)}"


def _reliability(name: str, found: dict[str, Any]) -> str:
    rows = [
        (
            f"{one['from']:.1f} to {one['to']:.1f}",
            str(one["count"]),
            f"{one['stated']:.2f}",
            f"{one['right']:.2f} <span class=bar style='width:{one['right'] * 8:.2f}rem'></span>",
        )
        for one in found["bins"]
    ]
    table = _table(("confidence", "receipts", "mean confidence", "share right"), rows)
    return f"<h2>Confidence of {escape(name)}</h2>{table}<p>Expected calibration error: {found['error']}</p>"


def _changes(against: Run | None, changes: Sequence[Change]) -> str:
    rows = [
        (
            "better" if one.better else "worse",
            *(escape(text or "-") for text in (one.file, one.field, one.truth, one.before, one.after)),
        )
        for one in changes
    ]
    better = sum(one.better for one in changes)
    name = escape(against.model) if against else ""
    head = f"<h2>Compared with {name}: {better} better, {len(changes) - better} worse</h2>"
    return head + (_table(("", "file", "field", "truth", "before", "now"), rows) if rows else "")


def _receipt(one: ReceiptScore, images: Path) -> str:
    rows = [
        (
            escape(name),
            escape(field.truth or "-"),
            f"<span class={field.verdict.value}>{escape(field.read or '-')}</span>",
            field.verdict.value,
            "-" if field.confidence is None else f"{field.confidence:.2f}",
        )
        for name, field in one.fields.items()
    ]
    said = escape(one.error or f"{one.status}, confidence {one.confidence:.2f}")
    return (
        f"<section class=r>{_picture(images / one.file)}<div><h3>{escape(one.file)}</h3><p>{said}</p>"
        f"{_table(('field', 'truth', 'read', '', 'confidence'), rows)}</div></section>"
    )


def _picture(path: Path) -> str:
    """Return a small copy of the picture as inline HTML, or a placeholder if it cannot be decoded."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", _PICTURE)
            small = ImageOps.exif_transpose(image).convert("RGB")
            small.thumbnail(_PICTURE)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "<div>(no picture)</div>"
    file = io.BytesIO()
    small.save(file, "JPEG", quality=70)
    return f"<img alt='' src='data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}'>"
