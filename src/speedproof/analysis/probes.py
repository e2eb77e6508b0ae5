"""The probes of a run: calls to real models before its attempts, which cost money and belong to no attempt."""

from collections.abc import Iterable
from dataclasses import dataclass

from speedproof.analysis.detail import pairs
from speedproof.analysis.reading import attempted
from speedproof.diagnosis.facts import ModelCall
from speedproof.journal import CallIntent, CallOutcome, RunStore
from speedproof.journal.events import LaneProbed


@dataclass(frozen=True)
class Probe:
    """One probe, as its file tells."""

    name: str
    """run/file: how a person names it."""
    lane: str
    """The agent and model; unknown where the log does not say."""
    calls: tuple[ModelCall, ...]
    """Its calls that count. One that the log counts and the file does not tell is there without intent and outcome."""
    unreadable: str | None
    """What of it cannot be read; null when everything can."""


def probes(run: RunStore) -> list[Probe]:
    """The probes that this run paid for, oldest first. A probe by our own script, which costs nothing, is none of them.

    The files tell, the log names their lanes: a damaged line of either hides no call that the other knows of.
    """
    events, _ = attempted(run.events, []) or ([], [])
    told = {event.file: event for event in events if isinstance(event, LaneProbed)}
    return [_probe(run, file, told.get(file)) for file in sorted({*told, *run.probes()})]


def counted(lines: list[tuple[int, CallIntent | CallOutcome]]) -> tuple[ModelCall, ...]:
    """The calls that count as spending: to models, and side routes that tokens or dollars were reported for."""
    calls = [ModelCall(p.number, p.intent, p.outcome, p.outcome_line or p.intent_line or 0) for p in pairs(lines)]
    return tuple(call for call in calls if not call.side_route or _cost_something(call))


def _cost_something(call: ModelCall) -> bool:
    o = call.outcome
    return o is not None and not (
        o.usage is None and o.at_least is None and o.cost_usd is None and o.billed_usd is None
    )


def _probe(run: RunStore, file: str, event: LaneProbed | None) -> Probe:
    errors: list[str] = []
    lines, bad = attempted(lambda: run.probe_calls(file), errors) or ([], [])
    calls = counted(lines)
    missing = 0 if event is None else max(0, event.calls - _to_models(calls))
    errors += [f"{len(bad)} damaged {'line' if len(bad) == 1 else 'lines'}"] if bad else []
    errors += [f"{missing} of {event.calls} calls are missing"] if event is not None and missing else []
    return Probe(
        name=f"{run.id}/{file}",
        lane="unknown" if event is None else event.lane,
        calls=(*calls, *(ModelCall(0, None, None, 0) for _ in range(missing))),
        unreadable="; ".join(errors) or None,
    )


def _to_models(calls: Iterable[ModelCall]) -> int:
    return sum(not call.side_route for call in calls)
