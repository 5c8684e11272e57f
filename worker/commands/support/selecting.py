"""The options that select records, shared by every command that does so."""

import datetime as dt
import functools
import inspect
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import typer

from worker.receipts.receipt import MAX_DIGITS
from worker.results.selection import BadQuery, Selection

PANEL: Final = "Which records"
DAY_HELP: Final = "2026-11-23, today, yesterday or 7d (seven days ago)"


def selecting(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a selection to `function`, which receives them as `selection`.

    Invalid values are refused as misuse, exit code 2.
    """
    own = [one for one in inspect.signature(function).parameters.values() if one.name != "selection"]
    options = list(inspect.signature(_select, eval_str=True).parameters.values())

    @functools.wraps(function)
    def command(**arguments: Any) -> None:
        chosen = {one.name: arguments.pop(one.name) for one in options}
        try:
            selection = _select(**chosen)
        except BadQuery as error:
            raise typer.BadParameter(str(error)) from error
        function(selection=selection, **arguments)

    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined] # typer reads it
    command.__annotations__ = {one.name: one.annotation for one in (*own, *options)} | {"return": None}
    return command


def _select(
    *,
    status: Annotated[
        list[str] | None,
        typer.Option(help="extracted, needs_review, rejected or failed; may be repeated.", rich_help_panel=PANEL),
    ] = None,
    needs_review: Annotated[
        bool, typer.Option("--needs-review", help="The same as --status needs_review.", rich_help_panel=PANEL)
    ] = False,
    merchant: Annotated[
        str | None, typer.Option(help="The merchant's full name; case does not matter.", rich_help_panel=PANEL)
    ] = None,
    merchant_like: Annotated[
        str | None, typer.Option(help="Part of the merchant's name; not indexed.", rich_help_panel=PANEL)
    ] = None,
    purchased_from: Annotated[
        str | None, typer.Option(metavar="DAY", help=f"First day of purchase: {DAY_HELP}.", rich_help_panel=PANEL)
    ] = None,
    purchased_to: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day of purchase.", rich_help_panel=PANEL)
    ] = None,
    uploaded_from: Annotated[
        str | None, typer.Option(metavar="DAY", help="First day of upload, in UTC.", rich_help_panel=PANEL)
    ] = None,
    uploaded_to: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day of upload, in UTC.", rich_help_panel=PANEL)
    ] = None,
    total_from: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Smallest total; not indexed.", rich_help_panel=PANEL)
    ] = None,
    total_to: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Largest total; not indexed.", rich_help_panel=PANEL)
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Currency code, such as EUR.", rich_help_panel=PANEL)] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Name of the endpoint that answered.", rich_help_panel=PANEL)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Version of the model that answered.", rich_help_panel=PANEL)
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Reason why an upload was rejected or failed.", rich_help_panel=PANEL)
    ] = None,
    content: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Hash of the file's bytes.", rich_help_panel=PANEL)
    ] = None,
    duplicates: Annotated[
        bool | None,
        typer.Option("--duplicates/--no-duplicates", help="Possible duplicates, or all others.", rich_help_panel=PANEL),
    ] = None,
) -> Selection:
    """Return the selection that the options describe."""
    statuses = (*(status or ()), *(("needs_review",) if needs_review else ()))
    return Selection(
        statuses=statuses,
        merchant=merchant,
        merchant_like=merchant_like,
        purchased_from=day(purchased_from),
        purchased_to=day(purchased_to),
        uploaded_from=start_of(day(uploaded_from)),
        uploaded_to=end_of(day(uploaded_to)),
        total_from=amount(total_from),
        total_to=amount(total_to),
        currency=currency.upper() if currency else None,
        endpoint=endpoint,
        model_version=model,
        reason=reason,
        content_sha256=content.lower() if content else None,
        duplicates=duplicates,
    )


def day(text: str | None, *, today: dt.date | None = None) -> dt.date | None:
    """Return the day in UTC that `text` names: ISO 8601, today, yesterday, or days ago such as "7d"."""
    if text is None:
        return None
    today = today or dt.datetime.now(dt.UTC).date()
    words = {"today": 0, "yesterday": 1}
    try:
        if text in words or text.endswith("d"):
            return today - dt.timedelta(days=words[text] if text in words else int(text[:-1]))
        return dt.date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise BadQuery(f"{text!r} is not a day; write {DAY_HELP}") from error


def start_of(date: dt.date | None) -> dt.datetime | None:
    """Return the first moment of a day in UTC."""
    return None if date is None else dt.datetime.combine(date, dt.time.min, dt.UTC)


def end_of(date: dt.date | None) -> dt.datetime | None:
    """Return the last millisecond of a day in UTC."""
    return None if date is None else dt.datetime.combine(date, dt.time(23, 59, 59, 999_000), dt.UTC)


def amount(text: str | None) -> Decimal | None:
    """Return the amount that `text` writes as a decimal number."""
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise BadQuery(f"{text!r} is not an amount; write it as 12.34") from error
    # DynamoDB stores at most MAX_DIGITS digits and limits the magnitude; `adjusted` is the exponent of the first digit.
    if not number.is_finite() or len(number.as_tuple().digits) > MAX_DIGITS or abs(number.adjusted()) > MAX_DIGITS:
        raise BadQuery(f"{text!r} is not an amount; write it as 12.34")
    return number
