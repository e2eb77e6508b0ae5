"""Figures in words."""

from speedproof.analysis.measures.measure import Unit

_ONE: dict[Unit, str] = {
    "attempts": "attempt",
    "runs": "run",
    "commits": "commit",
    "patches": "patch",
    "calls": "call",
    "steps": "step",
    "bytes": "byte",
    "tokens": "token",
}


def figure(value: float | str | None, unit: Unit) -> str:
    """A value with its unit, rounded where its digits say nothing more."""
    if value is None:
        return "unknown"
    return value if isinstance(value, str) else _with(_rounded(value, unit), unit)


def as_stated(value: float | str | None, unit: Unit) -> str:
    """A stated figure with its unit, every digit of it."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else _with(f"{value:,}", unit)


def plural(number: int, noun: str) -> str:
    """A count with its noun."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _with(number: str, unit: Unit) -> str:
    if unit == "USD":
        return f"−${number[1:]}" if number.startswith("-") else f"${number}"
    if number == "1":
        return f"1 {_ONE.get(unit, unit)}".strip()
    return f"{number} {unit}".strip()


def _rounded(value: float, unit: Unit) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}" if unit != "USD" else f"{value:,.2f}"
    if unit == "USD":
        return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.4f}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
