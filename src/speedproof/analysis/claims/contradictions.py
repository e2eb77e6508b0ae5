"""Statements of one document that cannot all be true, whatever the attempts: found by what holds between measures."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from speedproof.analysis.claims import words
from speedproof.analysis.claims.conditions import canonical, disjoint, holds, implies, said
from speedproof.analysis.claims.document import Statement
from speedproof.analysis.claims.stated import apart
from speedproof.analysis.claims.verdict import Contradiction
from speedproof.analysis.collection import Collection, Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES, measured
from speedproof.analysis.measures.identities import ADDITIVE, AT_MOST, MONOTONE, PARTS, SAME_AS, SHARES
from speedproof.analysis.measures.measure import Unit

Key = tuple[str, tuple[tuple[str, str], ...]]
_COUNTED: frozenset[Unit] = frozenset({"attempts", "runs", "commits", "patches", "calls", "steps", "bytes", "tokens"})
_OF_RUNS = frozenset({"run", "run_items", "archive"})
"""Dimensions of whole runs: groups of attempts by them have no run in common."""


@dataclass(frozen=True)
class _Said:
    """A stated figure as a span, its measure as a count of attempts where it is one."""

    id: str
    measure: str
    where: Where
    own: Where
    low: float
    high: float
    figure: str
    text: str

    @property
    def key(self) -> Key:
        return _key(self.measure, self.where)


def contradictions(statements: Sequence[Statement], collection: Collection) -> Iterator[Contradiction]:
    """Every contradiction, the plainest kinds first."""
    numbers = [one for statement in statements if (one := _said(statement)) is not None]
    yield from _twice(statements)
    by_key: dict[Key, list[_Said]] = defaultdict(list)
    for one in numbers:
        by_key[one.key].append(one)
    yield from _narrower(numbers)
    yield from _sums(numbers)
    yield from _parts(numbers, by_key, collection)
    yield from _shares(numbers, by_key)
    yield from _at_most(numbers, by_key)
    yield from _runs_by_size(numbers)


def _key(measure: str, where: Where) -> Key:
    same = SAME_AS.get(measure)
    if same is None or same.keys() & where.keys():
        return measure, canonical(where)
    return "attempts", canonical({**where, **same})


def _said(statement: Statement) -> _Said | None:
    claim = statement.claim
    if claim.stated is None or isinstance(claim.stated, str):
        return None
    figure = _figure(statement)
    text = f"{claim.measure} over {said(claim.where)} is stated as {figure} ({claim.id})"
    same = SAME_AS.get(claim.measure)
    measure, where = claim.measure, claim.where
    if same is not None and not same.keys() & where.keys():
        measure, where = "attempts", {**where, **same}
    low, high = _span(claim.stated, statement)
    return _Said(claim.id, measure, where, claim.where, low, high, figure, text)


def _span(stated: float, statement: Statement) -> tuple[float, float]:
    """What a stated figure allows: of things that are counted, whole numbers."""
    low, high = stated - statement.tolerance, stated + statement.tolerance
    whole = MEASURES[statement.claim.measure].unit in _COUNTED and math.ceil(low) <= math.floor(high)
    return (math.ceil(low), math.floor(high)) if whole else (low, high)


def _figure(statement: Statement) -> str:
    """The stated figure, with its tolerance where the file gives one."""
    stated = words.as_stated(statement.claim.stated, MEASURES[statement.claim.measure].unit)
    return stated if statement.claim.tolerance is None else f"{stated} ± {statement.tolerance:g}"


def _found(members: Iterable[_Said], sentence: str) -> Contradiction:
    return Contradiction(claims=tuple(one.id for one in members), sentence=sentence)


def _twice(statements: Sequence[Statement]) -> Iterator[Contradiction]:
    """The same quantity, stated differently."""
    groups: dict[Key, list[Statement]] = defaultdict(list)
    for one in statements:
        if one.claim.stated is not None:
            groups[_key(one.claim.measure, one.claim.where)].append(one)
    for every in groups.values():
        odd = [one for one in every if any(_differ(one, other) for other in every)]
        if not odd:
            continue
        figures = [f"{_figure(one)} ({one.claim.id})" for one in odd]
        what = f"{odd[0].claim.measure} over {said(odd[0].claim.where)}"
        yield Contradiction(
            claims=tuple(one.claim.id for one in odd), sentence=f"{what} is stated as {' and as '.join(figures)}"
        )


def _differ(one: Statement, other: Statement) -> bool:
    a, b = one.claim.stated, other.claim.stated
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return a != b
    return apart(*_span(a, one), *_span(b, other))


def _exceeds(low: float, high: float) -> bool:
    return low > high and apart(low, low, high, high)


def _narrower(numbers: Sequence[_Said]) -> Iterator[Contradiction]:
    """A part of the attempts has more than all of them."""
    for wide in numbers:
        if wide.measure not in ADDITIVE and wide.measure not in MONOTONE:
            continue
        for narrow in numbers:
            if narrow.measure != wide.measure or narrow.key == wide.key or not _exceeds(narrow.low, wide.high):
                continue
            if implies(narrow.where, wide.where):
                yield _found((narrow, wide), f"{narrow.text}: more than the whole, since {wide.text}")


def _sums(numbers: Sequence[_Said]) -> Iterator[Contradiction]:
    """Groups without common attempts have more than all attempts together."""
    for wide in _least(numbers):
        inner = [n for n in numbers if n.measure == wide.measure and n.key != wide.key and implies(n.where, wide.where)]
        groups: dict[frozenset[str], list[_Said]] = defaultdict(list)
        for one in _least(inner):
            groups[frozenset(one.where.keys() - wide.where.keys())].append(one)
        for dimensions, every in groups.items():
            if wide.measure not in ADDITIVE and not (wide.measure == "runs" and dimensions <= _OF_RUNS):
                continue
            picked: list[_Said] = []
            for one in sorted(every, key=lambda n: -n.low):
                if one.low <= wide.high and all(disjoint(one.where, other.where) for other in picked):
                    picked.append(one)
            if len(picked) > 1 and _exceeds(sum(max(0.0, one.low) for one in picked), wide.high):
                parts = " + ".join(f"{one.figure} ({one.id})" for one in picked)
                yield _found((*picked, wide), f"{parts} is more than the whole: {wide.text}")


def _least(numbers: Iterable[_Said]) -> list[_Said]:
    """Each quantity once, with the least figure stated for it."""
    found: dict[Key, _Said] = {}
    for one in numbers:
        if one.key not in found or one.low < found[one.key].low:
            found[one.key] = one
    return list(found.values())


def _parts(numbers: Sequence[_Said], by_key: dict[Key, list[_Said]], collection: Collection) -> Iterator[Contradiction]:
    """Parts that are all there is do not make up the whole; or parts of other measures exceed it."""
    for where in _places(numbers):
        for names, whole_name in PARTS:
            parts = [by_key[key][0] for name in names if (key := _key(name, where)) in by_key]
            whole = by_key.get(_key(whole_name, where), [None])[0]
            if whole is None or len(parts) < len(names):
                continue
            low, high = sum(one.low for one in parts), sum(one.high for one in parts)
            made = " + ".join(f"{one.figure} ({one.id})" for one in parts)
            if _exceeds(low, whole.high) and any(name not in SAME_AS for name in names):
                yield _found((*parts, whole), f"{made} is more than the whole: {whole.text}")
            elif _exceeds(whole.low, high) and _complete(names, whole_name, where, collection):
                yield _found(
                    (*parts, whole), f"{made} is less than the whole, and there is no other part: {whole.text}"
                )


def _complete(names: Sequence[str], whole: str, where: Where, collection: Collection) -> bool:
    """Whether these parts are all there is of these attempts: none is unknown, and they make up the whole."""
    found = [measured(collection, name, where) for name in (*names, whole)]
    values = [one.value for one in found if isinstance(one.value, int | float) and not one.unknown]
    return len(values) == len(found) and sum(values[:-1]) == values[-1]


def _shares(numbers: Sequence[_Said], by_key: dict[Key, list[_Said]]) -> Iterator[Contradiction]:
    """A share is not its part of its whole."""
    for share in numbers:
        if share.measure not in SHARES:
            continue
        for part, whole in _both(SHARES[share.measure], share.where, by_key):
            if whole.low <= 0:
                continue
            low, high = 100 * part.low / whole.high, 100 * part.high / whole.low
            if apart(low, high, share.low, share.high):
                made = f"{part.figure} ({part.id}) of {whole.figure} ({whole.id})"
                yield _found((share, part, whole), f"{share.text}, and {made} is another share")


def _both(names: tuple[str, str], where: Where, by_key: dict[Key, list[_Said]]) -> Iterator[tuple[_Said, _Said]]:
    first, second = (by_key.get(_key(name, where), []) for name in names)
    yield from ((one, other) for one in first for other in second)


def _at_most(numbers: Sequence[_Said], by_key: dict[Key, list[_Said]]) -> Iterator[Contradiction]:
    """What is never more than another is stated as more."""
    for where in _places(numbers):
        for names in AT_MOST:
            for less, more in _both(names, where, by_key):
                if _exceeds(less.low, more.high):
                    yield _found((less, more), f"{less.text}: never more than {names[1]}, yet {more.text}")


def _places(numbers: Sequence[_Said]) -> list[dict[str, Plain | list[Plain]]]:
    """Each set of conditions once, as the claims have them."""
    return list({canonical(one.own): dict(one.own) for one in numbers}.values())


def _runs_by_size(numbers: Sequence[_Said]) -> Iterator[Contradiction]:
    """More runs of a size are described than are counted."""
    described = [n for n in numbers if n.measure == "attempts" and n.where.keys() == {"run"}]
    for counted in numbers:
        if counted.measure != "runs" or counted.where.keys() != {"run_items"}:
            continue
        wanted = counted.where["run_items"]
        fit = (n for n in described if holds(wanted, n.low) and holds(wanted, n.high))
        each = list({run: n for n in fit if isinstance(run := n.where["run"], str)}.values())
        if len(each) > counted.high:
            sizes = " and ".join(f"{one.figure} ({one.id})" for one in each)
            yield _found((*each, counted), f"{len(each)} runs are described with {sizes}, yet {counted.text}")
