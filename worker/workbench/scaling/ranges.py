"""Range checks whose error names the field, the value and the range."""

import math


def require(field: str, value: float, *, low: float, high: float = math.inf, above: bool = False) -> None:
    """Raise ValueError unless `value` is finite and lies in [low, high], or in (low, high] with `above`."""
    inside = low < value <= high if above else low <= value <= high
    if inside and math.isfinite(value):
        return
    opening = "(" if above else "["
    closing = f"{high:.10g}]" if math.isfinite(high) else "infinity)"
    raise ValueError(f"{field} is {value:.10g}; it must lie in {opening}{low:.10g}, {closing}")


def require_whole(field: str, value: int, *, low: int, high: int) -> None:
    """Raise ValueError unless `value` is an integer in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{field} is {value!r}; it must be a whole number in [{low}, {high}]")  # noqa: TRY004 - one error type for every bad setting
    if not low <= value <= high:
        raise ValueError(f"{field} is {value}; it must lie in [{low}, {high}]")
