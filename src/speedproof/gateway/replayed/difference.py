"""The first place at which a request is not the recorded one."""

from collections.abc import Iterator
from typing import Any, Literal

from speedproof.gateway.replayed.normalise import Normal
from speedproof.journal.base import Record, canonical_json

_BEFORE, _AFTER = 60, 160
_ABSENT = object()


class Difference(Record):
    """What was not as recorded."""

    kind: Literal["changed", "repeated", "extra", "missing"]
    """changed: a request that is not the recorded one; repeated: a recorded request, made once more than recorded;
    extra: a request beyond the end of the record; missing: a recorded request that was not made."""
    call: int | None
    """Number of the recorded call: the one expected, repeated, missing or, of an extra one, the one that it follows;
    null when nothing was recorded."""
    entry: int | None = None
    """Index, from 0, of the message or item that differs; null when it is not in one."""
    where: str = ""
    """The field that differs, such as messages[7].content; empty when it is none."""
    expected: str | None = None
    """What was recorded there, what varies between runs replaced by its kind; null: nothing."""
    got: str | None = None
    """What was sent, likewise; null: nothing."""

    def __str__(self) -> str:
        match self.kind:
            case "changed":
                return f"the request differs from recorded call {self.call} at {self.where}"
            case "repeated":
                return f"the request of recorded call {self.call} was made once more than recorded"
            case "extra" if self.call is not None:
                return f"the agent asks once more than recorded, after call {self.call}"
            case "extra":
                return "the agent asks its model, which it did not do when it was recorded"
            case _:
                return f"recorded call {self.call} was not made"


def changed(call: int, expected: Normal, got: Normal) -> Difference:
    """Where a request differs from the recorded one that it should have been. Raises RecursionError when that lies too
    deep."""
    entry, where, before, after = next(_differing(expected, got))
    shown = _excerpts(before, after)
    return Difference(kind="changed", call=call, entry=entry, where=where, expected=shown[0], got=shown[1])


def _differing(expected: Normal, got: Normal) -> Iterator[tuple[int | None, str, Any, Any]]:
    for where, before, after in _leaves(expected.head, got.head, ""):
        yield None, where, before, after
    most = max(len(expected.entries), len(got.entries))
    for index in range(most):
        before, after = (e.entries[index] if index < len(e.entries) else _ABSENT for e in (expected, got))
        for where, old, new in _leaves(before, after, f"entry {index}"):
            yield index, where, old, new
    yield None, "method and path", "", ""


def _leaves(before: Any, after: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    """Every place at which two values differ, as deep as both have it."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _leaves(before.get(key, _ABSENT), after.get(key, _ABSENT), f"{where}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old, new = (v[index] if index < len(v) else _ABSENT for v in (before, after))
            yield from _leaves(old, new, f"{where}[{index}]")
    elif type(before) is not type(after) or before != after:
        yield where, before, after


def _excerpts(before: Any, after: Any) -> tuple[str | None, str | None]:
    """Both values around the first character that differs."""
    old, new = (None if v is _ABSENT else v if isinstance(v, str) else canonical_json(v) for v in (before, after))
    both = zip(old or "", new or "", strict=False)
    at = next((index for index, (a, b) in enumerate(both) if a != b), min(len(old or ""), len(new or "")))
    begin = max(0, at - _BEFORE)

    def excerpt(text: str | None) -> str | None:
        if text is None:
            return None
        piece = text[begin : at + _AFTER]
        return ("…" if begin else "") + piece + ("…" if at + _AFTER < len(text) else "")

    return excerpt(old), excerpt(new)
