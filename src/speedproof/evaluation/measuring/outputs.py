"""Outputs: whether what an arm hands over is what base hands over for the same seed, by the tolerance of the task.

The harness compares, for every timed sample. Outputs may be an agent's work: sizes, depth and time are bounded, and a
comparer of the task runs in a sandbox without the agent's tree.
"""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from speedproof.errors import TaskError
from speedproof.evaluation.measuring.protocol import parts
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import run_command
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import OUT
from speedproof.tasks.models import Workload
from speedproof.tasks.tolerance import Comparer, Within

COMPARE_TIMEOUT_S = 300.0
"""Wall seconds a comparer of the task may take for one pair of outputs."""
MAX_JSON = 16 << 20
"""Bytes of JSON that are read to compare its numbers: reading takes some twenty times as much memory."""
_SHOWN = 300
"""Characters of a value, or of a comparer's words, that a message shows."""


class Agreement:
    """Compares outputs with base's."""

    def __init__(self, prepared: PreparedTask, sandbox: Sandbox, scratch: Path) -> None:
        self.prepared = prepared
        self.sandbox = sandbox
        self.scratch = scratch
        self._sound: set[str] = set()

    def difference(self, workload: Workload, seed: int, base: bytes, other: bytes) -> str | None:
        """Where `other` is not base's outputs, in a sentence; null when it is, within the workload's tolerance.

        Both are joined as Protocol.outputs holds them. Raises TaskError when base's own cannot be compared, or the
        task's comparer is no comparer.
        """
        if isinstance(workload.tolerance, Comparer):
            self._require_comparer(workload, workload.tolerance, seed, base)
        if base == other:
            return None
        head = f"the outputs of {workload.name} differ from base's with seed {seed}"
        if workload.tolerance == "exact":
            return f"{head} at {_first_byte(base, other)}"
        of_base, of_other = parts(base), parts(other)
        if len(of_base) != len(of_other):
            return f"{head}: {len(of_other)} of them instead of {len(of_base)}"
        for mine, theirs in zip(of_base, of_other, strict=True):
            if mine == theirs:
                continue
            if isinstance(workload.tolerance, Within):
                found = self._numbers(workload, workload.tolerance, mine, theirs)
            else:
                found = self._asked(workload.tolerance, seed, mine, theirs)
            if found is not None:
                return f"{head}: {found}"
        return None

    def _numbers(self, workload: Workload, within: Within, base: bytes, other: bytes) -> str | None:
        try:
            wanted = _read(base)
        except ValueError as error:
            raise TaskError(
                f"task {self.prepared.task.name}: numbers in the outputs of {workload.name} cannot be compared: on "
                f"base, the outputs {error}",
                hint="hand over JSON, or compare by a command (docs/writing-a-task.md, Tolerance)",
            ) from error
        try:
            return _first_difference(wanted, _read(other), within)
        except ValueError as error:
            return f"they {error}"

    def _asked(self, comparer: Comparer, seed: int, base: bytes, other: bytes) -> str | None:
        """What the comparer says against `other`; null when it accepts."""
        with TemporaryDirectory(dir=self.scratch, prefix="compare-") as folder:
            mounts = []
            for name, content in (("base", base), ("other", other)):
                file = Path(folder) / name
                file.write_bytes(content)
                file.chmod(0o644)  # whoever runs inside may read it
                mounts.append(Mount(file, f"{OUT}/{name}"))
            box = Box(
                argv=("/bin/sh", "-c", comparer.command),
                cwd="/tmp",
                env={**self.prepared.variables(), "SPEEDPROOF_SEED": str(seed)},
                mounts=(*mounts, *self.prepared.mounts()),
                interpreters=self.prepared.interpreters,
            )
            done = run_command(self.sandbox, box, COMPARE_TIMEOUT_S, self.prepared.task.limits)
        if done.ok:
            return None
        return f"the task's comparer {done.how}" + (f": {_plain(done.tail(3))}" if done.output.strip() else "")

    def _require_comparer(self, workload: Workload, comparer: Comparer, seed: int, base: bytes) -> None:
        """Once: it must accept base's own outputs, and not accept nothing in their place."""
        if workload.name in self._sound or not any(parts(base)):
            return
        real = next(part for part in parts(base) if part)
        said = self._asked(comparer, seed, real, real)
        if said is None and self._asked(comparer, seed, real, b"") is None:
            said = "the task's comparer accepts an empty file in place of base's outputs"
        if said is not None:
            raise TaskError(
                f"task {self.prepared.task.name}: the outputs of {workload.name} cannot be compared: {said}",
                hint="its exit code must be 0 when /out/other may stand for /out/base, and another one when not",
            )
        self._sound.add(workload.name)


def agreement(workloads: Iterable[Workload], same_for_all: Sequence[str] = ()) -> str:
    """What it means, by the workloads' tolerances, that no difference was found: a sentence for a check.

    `same_for_all`: workloads on which base hands over the same for every seed.
    """
    allowed = [f"{w.name} {_allowed(w.tolerance)}" for w in workloads if w.tolerance != "exact"]
    said = "the outputs equal base's on every seed" + (f" ({', '.join(allowed)})" if allowed else "")
    if not same_for_all:
        return said
    return f"{said}; those of {', '.join(same_for_all)} are the same for every seed, and could be known beforehand"


def _allowed(tolerance: object) -> str:
    if isinstance(tolerance, Within):
        given = [("relative", tolerance.relative), ("absolute", tolerance.absolute)]
        return "within " + " or ".join(f"{value:g} {name}" for name, value in given if value)
    return "by the task's own comparer"


def _read(data: bytes) -> Any:
    """JSON, NaN and infinities included. Raises ValueError with a predicate of "the outputs"."""
    if len(data) > MAX_JSON:
        raise ValueError(f"are {len(data)} bytes of JSON, more than {MAX_JSON}")
    try:
        return json.loads(data.decode())
    except RecursionError as error:
        raise ValueError("are nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"cannot be read as JSON: {_plain(str(error))}") from error


def _first_difference(base: Any, other: Any, within: Within) -> str | None:
    """Where two JSON values differ by more than `within`; without recursion, however deep they are."""
    pending: list[tuple[Any, Any, Any]] = [(base, other, None)]
    while pending:
        mine, theirs, place = pending.pop()
        if isinstance(mine, dict) and isinstance(theirs, dict):
            if mine.keys() != theirs.keys():
                key = min(mine.keys() ^ theirs.keys())
                return f"{_named(place)} {'lacks' if key in mine else 'has'} the key {_plain(repr(key))}"
            pending += [(mine[key], theirs[key], (place, key)) for key in reversed(mine)]
        elif isinstance(mine, list) and isinstance(theirs, list):
            if len(mine) != len(theirs):
                return f"{_named(place)} has {len(theirs)} items instead of {len(mine)}"
            pending += [(mine[i], theirs[i], (place, i)) for i in reversed(range(len(mine)))]
        elif _is_number(mine) and _is_number(theirs):
            if not _close(mine, theirs, within):
                return f"{_named(place)} is {_shown(theirs)} instead of {_shown(mine)}"
        elif type(mine) is not type(theirs) or mine != theirs:
            return f"{_named(place)} is {_shown(theirs)} instead of {_shown(mine)}"
    return None


def _is_number(value: object) -> bool:
    return type(value) in (int, float)  # a bool is an int, and no number


def _close(base: float, other: float, within: Within) -> bool:
    if base == other:
        return True
    try:
        if not (math.isfinite(base) and math.isfinite(other)):
            return math.isnan(base) and math.isnan(other)
        return abs(other - base) <= max(within.relative * abs(float(base)), within.absolute)
    except OverflowError:  # a whole number that no float can hold
        return False


def _first_byte(base: bytes, other: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(base, other, strict=False)) if a != b), min(len(base), len(other)))
    window = slice(max(0, at - 20), at + 40)
    return f"byte {at}: {other[window]!r} instead of {base[window]!r}"


def _named(place: Any) -> str:
    keys: list[Any] = []
    while place is not None:
        place, key = place
        keys.append(key)
    if not keys:
        return "the value"
    return _plain("".join(f"[{key!r}]" for key in reversed(keys)))


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a huge number"
    return _plain(json.dumps(value))


def _plain(text: str) -> str:
    """One line of printable characters, cut short: it may be an agent's."""
    line = "".join(c if c.isprintable() else " " for c in text[:_SHOWN])
    return line if len(text) <= _SHOWN else f"{line}…"
