"""`receipts show`: one record in full."""

import asyncio
import webbrowser
from typing import Annotated, Any

import typer
from rich.text import Text

from worker.commands.support.naming import HELP, documents_named
from worker.commands.support.terminal import as_text, cells, console, money, safe, status_text, table
from worker.receipts.receipt import Receipt
from worker.receipts.record import Record
from worker.receipts.text import printable_json
from worker.results.selection import BadQuery

LINK_S = 3_600
"""Seconds for which the link to the image is valid."""


def command(
    key: Annotated[str, typer.Argument(help=f"Document: {HELP}")],
    *,
    open_image: Annotated[bool, typer.Option("--open", help="Open the image in the browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show one record: its fields, failed checks, history, and a link to the image."""
    record, link = asyncio.run(_find(key))
    if as_json:
        typer.echo(printable_json({**record.as_json(), "image_url": link}, indent=2))
    else:
        _print(record, link)
    if open_image:
        webbrowser.open(link)


async def _find(key: str) -> tuple[Record, str]:
    """Return the record that `key` names and a link to its image."""
    from worker.aws.clients import clients
    from worker.results.image import link
    from worker.results.query import Results
    from worker.settings import load

    settings = load()
    async with clients(settings, attempts=5) as aws:
        results = Results(aws.dynamodb, settings.table)
        names = documents_named(key, settings.bucket)
        for document in names:
            if record := await results.get(document):
                return record, await link(aws.s3, record, expires_s=LINK_S)
    raise BadQuery(f"no record found for {safe(' or '.join(names) or key)}; `receipts list` shows the records")


def _print(record: Record, link: str) -> None:
    out = console()
    out.print(Text(safe(record.document), style="bold"), status_text(record.status))
    facts = {
        "reason": record.reason,
        "detail": record.detail,
        "possible duplicate of": record.possible_duplicate_of,
        "answered from": record.answered_from,
        "confidence": record.confidence,
        "reviewed": record.reviewed_at and f"{record.reviewed_at} by {record.reviewed_by or 'an unnamed reviewer'}",
        "uploaded": record.uploaded_at,
        "stored": record.stored_at,
        "file": " ".join(filter(None, [record.media_type, f"{record.pages} pages" if (record.pages or 1) > 1 else ""])),
        "content": record.content_sha256,
        "version": record.version_id,
        "model": record.model and as_text(record.model.model_dump(exclude={"usage"})),
        "usage": record.model and as_text(record.model.usage),
        "endpoint calls": record.attempts,
        "milliseconds": as_text(record.timings_ms),
        "replay": record.replay_id,
        "trace": record.trace_id,
        "revision": record.revision,
    }
    _print_pairs({name: value for name, value in facts.items() if value not in (None, "")})
    if record.receipt is not None:
        _print_receipt(record.receipt, record)
    if record.checks:
        out.print("\nFailed checks", style="bold")
        for check in record.checks:
            out.print(Text(f"  {safe(check.message)}"), Text(f"({safe(check.name)})", style="dim"))
    if record.history:
        _print_history(record)
    out.print(f"\nImage (link valid for one hour): {link}", markup=False, soft_wrap=True)


def _print_pairs(pairs: dict[str, Any]) -> None:
    rows = table("", "")
    rows.show_header = False
    for name, value in pairs.items():
        rows.add_row(Text(f"  {safe(name)}", style="dim"), *cells(value))
    console().print(rows)


def _print_receipt(receipt: Receipt, record: Record) -> None:
    values = receipt.model_dump(mode="json", exclude={"items", "taxes"})
    fields = dict(_flat(values))
    rows = table("field", "value", "corrected to", "confidence")
    for name in dict.fromkeys([*fields, *record.corrections]):
        value, fixed = fields.get(name), record.corrections.get(name)
        sure = record.field_confidence.get(name)
        if value is not None or name in record.corrections:
            rows.add_row(*cells(name, value, as_text(fixed) if name in record.corrections else "", _share(sure)))
    console().print()
    console().print(rows)
    currency = receipt.currency
    if receipt.items:
        rows = table("item", "code", "quantity", "unit price", "amount", right=["quantity", "unit price", "amount"])
        for item in receipt.items:
            rows.add_row(
                *cells(
                    item.description,
                    item.product_code,
                    item.quantity,
                    money(item.unit_price, currency),
                    money(item.amount, currency),
                )
            )
        console().print()
        console().print(rows)
    if receipt.taxes:
        rows = table("tax", "rate %", "net", "amount", right=["rate %", "net", "amount"])
        for tax in receipt.taxes:
            rows.add_row(*cells(tax.description, tax.rate, money(tax.net, currency), money(tax.amount, currency)))
        console().print()
        console().print(rows)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, part in value.items():
        pairs += _flat(part, f"{prefix}{name}.") if isinstance(part, dict) else [(f"{prefix}{name}", part)]
    return pairs


def _share(confidence: float | None) -> str:
    return "" if confidence is None else f"{confidence:.0%}"


def _print_history(record: Record) -> None:
    rows = table("revision", "stored", "status", "model", "total", title="\nEarlier answers")
    for entry in record.history:
        model, receipt = entry.get("model") or {}, entry.get("receipt") or {}
        name = model.get("model_version") or model.get("endpoint")
        total = money(receipt.get("total"), receipt.get("currency"))
        rows.add_row(*cells(entry.get("revision"), entry.get("stored_at"), entry.get("status"), name, total))
    console().print(rows)
