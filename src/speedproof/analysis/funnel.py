"""The funnel every report opens with: how far the attempts came, rung by rung, each with its own evidence."""

from collections.abc import Callable, Iterable

from speedproof.analysis.row import Row
from speedproof.journal import Record


class Rung(Record):
    """One rung. An attempt reaches it when it has this and every rung before."""

    name: str
    """Name of the rung."""
    meaning: str
    """What an attempt must show."""
    reached: tuple[str, ...]
    """Attempts that came this far."""
    missed: tuple[str, ...]
    """Attempts that reached the rung before, and not this one."""
    unknown: tuple[str, ...]
    """Attempts that reached the rung before, and nobody knows about this one."""
    beside: tuple[str, ...]
    """Attempts that have this rung and lack an earlier one, such as fast but wrong."""


class Funnel(Record):
    """The rungs for attempts that call a model; controls are counted apart."""

    attempts: tuple[str, ...]
    """All that is counted here: attempts, and items without one."""
    rungs: tuple[Rung, ...]
    """From launched to as good as the expert."""
    controls: tuple[str, ...]
    """Attempts that apply a given patch; they are in no rung."""


def _correct(row: Row) -> bool | None:
    return None if row.correctness in (None, "unknown") else row.correctness == "pass"


def _faster(row: Row) -> bool | None:
    return None if row.speed in (None, "not_measured") else row.speed == "faster"


def _launched(row: Row) -> bool | None:
    return False if row.state == "not_started" else row.launched


RUNGS: dict[str, tuple[str, Callable[[Row], bool | None]]] = {
    "launched": ("the agent's process was started", _launched),
    "called the model": ("at least one model call on the wire", lambda r: None if r.calls is None else r.calls > 0),
    "finished": ("the process ended by itself and without an error", lambda r: r.run and r.run == "completed"),
    "patched": ("the workspace differs from base", lambda r: r.patch and r.patch not in ("missing", "empty")),
    "applies": ("git takes the patch on a clean base", lambda r: r.applies),
    "builds": ("the patched tree builds, or needs no build and ran", lambda r: r.builds),
    "correct": ("tests and outputs are those of base and expert", _correct),
    "faster than base": ("the whole interval lies beyond the threshold", _faster),
    "as good as the expert": ("not slower than the expert by more than the margin", lambda r: r.as_good_as_expert),
}
"""Name → what it takes, and how a row shows it: yes, no or unknown."""


def funnel(rows: Iterable[Row]) -> Funnel:
    """Count how far the rows came; every rung lists its attempts."""
    every = list(rows)
    counted = [r for r in every if r.control is None]
    standing, rungs = counted, []
    for name, (meaning, shows) in RUNGS.items():
        answer = {r.name: shows(r) for r in counted}
        before = {r.name for r in standing}
        rungs.append(
            Rung(
                name=name,
                meaning=meaning,
                reached=tuple(r.name for r in standing if answer[r.name] is True),
                missed=tuple(r.name for r in standing if answer[r.name] is False),
                unknown=tuple(r.name for r in standing if answer[r.name] is None),
                beside=tuple(r.name for r in counted if answer[r.name] is True and r.name not in before),
            )
        )
        standing = [r for r in standing if answer[r.name] is True]
    return Funnel(
        attempts=tuple(r.name for r in counted),
        rungs=tuple(rungs),
        controls=tuple(r.name for r in every if r.control is not None),
    )
