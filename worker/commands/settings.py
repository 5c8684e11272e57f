"""`receipts settings`: list all settings and check the current ones."""

import json
import types
import typing
from typing import Annotated, Any

import typer
from pydantic import SecretStr


def command(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only check the current settings: exit 0 if valid, else print why and exit 2."),
    ] = False,
) -> None:
    """List every setting: its environment variable, value, default, limits and meaning.

    Errors in the current settings are printed at the end, and the exit code is 2.
    """
    from worker.settings import load

    if check:
        load()
        typer.echo("The settings are valid.", err=True)
        return
    rows = describe()
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    _print(rows)
    load()


def describe() -> list[dict[str, Any]]:
    """Return one entry per setting: variable, type, default, limits and description, in order of declaration."""
    from worker.settings import PREFIX, Settings

    return [
        {
            "variable": f"{PREFIX}{name.upper()}",
            "type": _type(field.annotation),
            "default": field.default,
            "limits": _limits(field.annotation, field.metadata),
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]


SECRET = "secret text"  # noqa: S105 # the name of a type
_PLAIN = {
    SecretStr: SECRET,
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    types.NoneType: "unset",
}


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " | ".join(str(choice) for choice in typing.get_args(annotation))
    if origin is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type(part) for part in typing.get_args(annotation) if part is not types.NoneType)
    return _PLAIN.get(annotation, "JSON object")


def _limits(annotation: Any, metadata: list[Any]) -> str | None:
    """Return the limits of a value, such as "> 0, ≤ 43200"."""
    parts = []
    for limit in [*_nested(annotation), *metadata]:
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            if (bound := getattr(limit, name, None)) is not None:
                parts.append(f"{sign} {bound:_}".replace("_", "\N{NARROW NO-BREAK SPACE}"))
        for name, word in (("min_length", "at least"), ("max_length", "at most")):
            if (bound := getattr(limit, name, None)) is not None:
                parts.append(f"{word} {bound} characters")
    return ", ".join(parts) or None


def _nested(annotation: Any) -> list[Any]:
    """Return the constraints inside an `Annotated` type."""
    if typing.get_origin(annotation) is not typing.Annotated:
        return []
    found: list[Any] = []
    for extra in typing.get_args(annotation)[1:]:
        found += getattr(extra, "metadata", None) or [extra]
    return found


def _print(rows: list[dict[str, Any]]) -> None:
    import os

    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for row in rows:
        mine = os.environ.get(row["variable"])
        if mine and row["type"] == SECRET:
            mine = "set, not shown"
        value = (mine, "green") if mine else (_shown(row["default"]), "")
        limits = ", ".join(part for part in (row["type"], row["limits"]) if part)
        console.print(Text.assemble((row["variable"], "bold"), " = ", value, (f"  ({limits})", "dim")))
        console.print(Padding(Text(row["description"]), (0, 0, 0, 4)))
    console.print("\nThe usual AWS_* variables configure AWS itself: region, credentials, endpoint URLs.", style="dim")


def _shown(default: Any) -> str:
    if default is None:
        return "unset"
    if isinstance(default, bool):
        return str(default).lower()
    return json.dumps(default) if isinstance(default, dict) else str(default)
