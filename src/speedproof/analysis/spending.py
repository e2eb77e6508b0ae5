"""What a run spent, call by call: by probes, task, agent, model, outcome, time; what was wasted, what nobody knows."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from speedproof.analysis.probes import Probe, counted, probes
from speedproof.analysis.reading import attempted
from speedproof.analysis.reconciled import Reconciled, reconciled
from speedproof.analysis.row import Row
from speedproof.analysis.rows import rows, tried
from speedproof.diagnosis.facts import ModelCall, utc
from speedproof.journal import Attempt, AttemptStore, Record, RunStore, Usage
from speedproof.journal.usage import total_usage

WASTED_RUNS = ("infra_error", "model_error", "cancelled", "crashed")
"""An attempt that ended so says nothing about its agent: what it spent is wasted, unless its patch is proven."""
FAILED_CALL = "failed call"
"""What else is wasted: a call of another attempt that failed or was cut."""
_HOURLY = timedelta(hours=48)

By = Literal["all", "probes", "task", "agent", "model", "wire_model", "outcome", "waste", "hour", "day"]


class Spent(Record):
    """What some calls cost. Every sum is over the calls that are known, and says how many are not in it."""

    calls: int
    """Model calls; side routes only where tokens or dollars were reported for them."""
    usage: Usage
    """Tokens by kind, summed over the calls whose usage is known."""
    usage_unknown_calls: int
    """Calls whose usage is unknown and not in the sum."""
    refused_calls: int
    """Those of them that were answered with an error status, which providers do not bill."""
    at_least: Usage
    """What providers certainly counted of calls whose usage is unknown; not in `usage`."""
    cost_usd: float | None
    """US dollars at list prices, summed over the calls that have a price; null when none has."""
    unpriced_calls: int
    """Calls whose usage is known and whose price is not: not in the sum."""
    billed_usd: float | None
    """US dollars that providers themselves say they bill; null when none says."""
    billed_calls: int
    """Calls that `billed_usd` is the sum of."""
    billed_difference_usd: float | None
    """Billed less computed, over the calls that have both; null when none has."""

    @property
    def is_lower_bound(self) -> bool:
        """Whether more was spent than `cost_usd`: some calls may well be billed and are not in it."""
        return self.usage_unknown_calls > self.refused_calls or self.unpriced_calls > 0


class SpendingLine(Record):
    """What one group of calls cost."""

    by: By
    """What the group is formed by. probes: the agent and model that were probed before the run, in no attempt; model:
    as planned; wire_model: as named in the request that was forwarded; outcome: how the attempt ended and its failure
    class; waste: why the spending was in vain; hour and day: UTC, when the call ended. The probes' calls are in all,
    wire_model, waste, hour and day too, and in no other group."""
    name: str
    """Name of the group."""
    attempts: tuple[str, ...]
    """Attempts in the group."""
    spent: Spent
    """What they spent."""
    wasted: Spent
    """The part of it that was wasted: spent by attempts that ended as infra_error, model_error, cancelled or crashed
    without a proven patch, and by failed or cut calls of all others and of probes."""
    again: Spent
    """The part of it that was spent by attempts that were made again."""


class PriceList(Record):
    """A price list that costs were computed from."""

    source: str
    """Name of the list."""
    version: str
    """Its version."""
    attempts: tuple[str, ...]
    """Attempts priced by it."""


class Spending(Record):
    """What a run spent; controls, which call no model, are left out."""

    format: Literal["speedproof/spending/1"] = "speedproof/spending/1"
    """Version of this record's schema."""
    run: str
    """Id of the run."""
    lines: tuple[SpendingLine, ...]
    """The run as a whole, its probes included, then each group."""
    probes: Spent
    """The part of the whole that probes spent before its attempts."""
    prices: tuple[PriceList, ...]
    """The price lists used."""
    prices_unknown: tuple[str, ...]
    """Attempts with calls that do not say which price list was used."""
    reconciled: tuple[Reconciled, ...]
    """Attempts whose agent counted tokens or dollars itself, beside the wire."""
    unreadable: dict[str, str]
    """Attempt, or file of a probe → what of it cannot be read, so that its spending may not be in the sums."""

    @property
    def total(self) -> SpendingLine:
        """The run as a whole."""
        return self.lines[0]


@dataclass(frozen=True)
class _Spender:
    row: Row
    attempt: Attempt | None
    calls: tuple[ModelCall, ...]


@dataclass
class _Group:
    members: set[str] = field(default_factory=set)
    entries: list["_Entry"] = field(default_factory=list)


@dataclass(frozen=True)
class _Entry:
    of: Row | Probe
    call: ModelCall
    again: bool

    @property
    def at(self) -> datetime | None:
        side = self.call.outcome or self.call.intent
        return None if side is None else utc(side.at)

    @property
    def waste(self) -> str | None:
        """Why this call was in vain; null when it was not, or nobody can tell yet."""
        of, call = self.of, self.call
        if isinstance(of, Row) and of.run in WASTED_RUNS and not of.proven:
            return of.run
        untold = call.outcome is None and (of.run is None if isinstance(of, Row) else call.intent is None)
        return FAILED_CALL if call.failed and not untold else None

    @property
    def wire_model(self) -> str:
        outcome = self.call.outcome
        return str(self.call.model or (outcome.model_answered if outcome else None) or "unknown")


def spending(run: RunStore) -> Spending:
    """What a run spent so far. Raises RecordError when its manifest cannot be read."""
    spenders = [_read(run, r) for r in rows(run) if r.control is None and r.folder is not None]
    before = probes(run)
    again = {r.name for item in tried(s.row for s in spenders) for r in item.again}
    entries = [_Entry(s.row, call, s.row.name in again) for s in spenders for call in s.calls]
    entries += [_Entry(probe, call, again=False) for probe in before for call in probe.calls]
    unreadable = {s.row.name: said for s in spenders if (said := _unreadable(s.row))}
    return Spending(
        run=run.id,
        lines=tuple(_lines([*(s.row for s in spenders), *before], entries)),
        probes=_spent([call for probe in before for call in probe.calls]),
        prices=_price_lists(spenders),
        prices_unknown=tuple(s.row.name for s in spenders if s.calls and not (s.attempt and s.attempt.prices)),
        reconciled=tuple(
            found
            for s in spenders
            if s.attempt and (found := reconciled(s.row.name, s.attempt.outcome, [c.outcome for c in s.calls]))
        ),
        unreadable=unreadable | {probe.name: probe.unreadable for probe in before if probe.unreadable},
    )


def _read(run: RunStore, row: Row) -> _Spender:
    store = AttemptStore(run.folder / (row.folder or ""))
    lines, _ = attempted(store.calls, []) or ([], [])  # what cannot be read stands in the row's error
    return _Spender(row, attempted(store.read, []), counted(lines))


def _unreadable(row: Row) -> str | None:
    lines = "line" if row.damaged_lines == 1 else "lines"
    damaged = [f"{row.damaged_lines} damaged {lines} in calls.jsonl"] if row.damaged_lines else []
    return "; ".join([*([row.error] if row.error else []), *damaged]) or None


def _lines(members: Sequence[Row | Probe], entries: Sequence[_Entry]) -> list[SpendingLine]:
    moments = [at for e in entries if (at := e.at)]
    long = bool(moments) and max(moments) - min(moments) > _HOURLY
    groups: defaultdict[tuple[By, str], _Group] = defaultdict(_Group)
    groups["all", "all"] = _Group()
    for member in members:
        for key in _keys(member):
            groups[key].members.add(member.name)
    for entry in entries:
        for key in [*_keys(entry.of), *_keys_of_call(entry, long=long)]:
            groups[key].members.add(entry.of.name)
            groups[key].entries.append(entry)
    place = {by: number for number, by in enumerate(get_args(By))}
    timed = ("hour", "day")
    ordered = sorted(groups, key=lambda k: (place[k[0]], k[1] if k[0] in timed else ""))
    return [_line(by, name, members, groups[by, name]) for by, name in ordered]


def _keys(row: Row | Probe) -> list[tuple[By, str]]:
    if isinstance(row, Probe):
        return [("all", "all"), ("probes", row.lane)]
    ended = " · ".join([row.run or row.state, *([row.diagnosis.failure.value] if row.diagnosis else [])])
    return [
        ("all", "all"),
        ("task", row.task),
        ("agent", row.agent),
        ("model", row.model or "none"),
        ("outcome", ended),
    ]


def _keys_of_call(entry: _Entry, *, long: bool) -> list[tuple[By, str]]:
    keys: list[tuple[By, str]] = [("wire_model", entry.wire_model)]
    if entry.waste:
        keys.append(("waste", entry.waste))
    if entry.at:
        keys.append(("day", f"{entry.at:%Y-%m-%d}") if long else ("hour", f"{entry.at:%Y-%m-%d %H:00}"))
    return keys


def _line(by: By, name: str, members: Sequence[Row | Probe], group: _Group) -> SpendingLine:
    return SpendingLine(
        by=by,
        name=name,
        attempts=tuple(m.name for m in members if isinstance(m, Row) and m.name in group.members),
        spent=_spent([e.call for e in group.entries]),
        wasted=_spent([e.call for e in group.entries if e.waste]),
        again=_spent([e.call for e in group.entries if e.again]),
    )


def _spent(calls: Sequence[ModelCall]) -> Spent:
    outcomes = [c.outcome for c in calls]
    known = [o for o in outcomes if o is not None]
    usage, usage_unknown = total_usage(o.usage if o else None for o in outcomes)
    costs = [o.cost_usd for o in known if o.cost_usd is not None]
    billed = [o.billed_usd for o in known if o.billed_usd is not None]
    both = [o.billed_usd - o.cost_usd for o in known if o.billed_usd is not None and o.cost_usd is not None]
    return Spent(
        calls=len(calls),
        usage=usage,
        usage_unknown_calls=usage_unknown,
        refused_calls=sum(o.usage is None and (o.status or 0) >= 400 for o in known),
        at_least=total_usage(o.at_least for o in known if o.usage is None)[0],
        cost_usd=math.fsum(costs) if costs else None,
        unpriced_calls=sum(o.usage is not None and o.usage.total is not None and o.cost_usd is None for o in known),
        billed_usd=math.fsum(billed) if billed else None,
        billed_calls=len(billed),
        billed_difference_usd=math.fsum(both) if both else None,
    )


def _price_lists(spenders: Sequence[_Spender]) -> tuple[PriceList, ...]:
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for s in spenders:
        if s.attempt and s.attempt.prices:
            found[s.attempt.prices.source, s.attempt.prices.version].append(s.row.name)
    return tuple(PriceList(source=k[0], version=k[1], attempts=tuple(names)) for k, names in found.items())
