"""The options of `receipts replay`, validated together."""

import re
from dataclasses import dataclass
from typing import Final

from worker.results.selection import BadQuery, Selection

SOURCES: Final = "Give KEYS, --prefix, --dead-letters, conditions on records, or --id of a replay that has begun."
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """The replay that the command line asks for."""

    selection: Selection
    keys: tuple[str, ...]
    prefix: str | None
    dead_letters: bool
    older_than_model: str | None
    older_than: str | None
    younger_than: str | None
    recorded: bool
    replay_id: str | None
    force: bool
    rate: float
    yes: bool
    as_json: bool

    def __post_init__(self) -> None:
        """Refuse more than one source, or none."""
        from_table = (self.selection != Selection() or self.older_than_model is not None) and not self.dead_letters
        sources = [bool(self.keys), self.prefix is not None, self.dead_letters, from_table]
        if sum(sources) > 1 or (not any(sources) and self.replay_id is None):
            raise BadQuery(f"exactly one source is needed. {SOURCES}")
        if self.dead_letters and (self.older_than_model or self.selection != Selection(reason=self.selection.reason)):
            raise BadQuery("--dead-letters can only be combined with --reason, --older-than and --younger-than")
        if not self.dead_letters and (self.older_than or self.younger_than):
            raise BadQuery("--older-than and --younger-than need --dead-letters")

    @property
    def resumed(self) -> bool:
        """Whether only an id is given, so that an earlier replay is resumed."""
        return not self.keys and self.prefix is None and self.selection == Selection() and self.older_than_model is None

    def description(self) -> str:
        """Return the source in words, for the manifest."""
        if self.keys:
            return f"{len(self.keys)} keys"
        if self.prefix is not None:
            return f"objects under {self.prefix}"
        conditions = {name: value for name, value in vars(self.selection).items() if value not in (None, ())}
        return ", ".join(f"{name}={value}" for name, value in conditions.items())[:1_000] or "records"


def age_s(text: str | None) -> float | None:
    """Return an age such as "30m" in seconds; None stays None."""
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if not match:
        raise BadQuery(f"{text!r} is not an age; write 90s, 30m, 12h or 2d")
    return int(match[1]) * _UNITS[match[2]]
