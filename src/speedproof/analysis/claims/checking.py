"""The verdict on each claim: holds, fails, or cannot be known; with our value, and how a wrong figure came to be."""

from speedproof import __version__
from speedproof.analysis.claims import words
from speedproof.analysis.claims.conditions import said
from speedproof.analysis.claims.contradictions import contradictions
from speedproof.analysis.claims.document import Claim, Like, Loaded, Statement, explaining
from speedproof.analysis.claims.stated import finite, within
from speedproof.analysis.claims.verdict import Checked, Checks, Derived, Explained, Verdict
from speedproof.analysis.collection import Collection
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES, measured


def check_claims(loaded: Loaded, collection: Collection) -> Checks:
    """Hold a claims file against the attempts of a collection."""
    return Checks(
        speedproof=__version__,
        document=loaded.claims.document,
        archives=collection.archives,
        claims=tuple(_checked(statement, collection) for statement in loaded.statements),
        contradictions=tuple(contradictions(loaded.statements, collection)),
    )


def derived(collection: Collection, measure: str, where: dict[str, Plain | list[Plain]]) -> Derived:
    """A measure over some attempts. Raises InputError for an unknown measure or dimension."""
    found = measured(collection, measure, where)
    low, high = found.bounds or (None, None)
    return Derived(
        measure=measure,
        where=where,
        value=found.value,
        unit=MEASURES[measure].unit,
        meaning=MEASURES[measure].meaning,
        attempts=tuple(e.name for e in found.counted),
        unknown=tuple(e.name for e in found.unknown),
        least=low,
        most=high,
        why=found.why,
    )


def _checked(statement: Statement, collection: Collection) -> Checked:
    claim = statement.claim
    ours = derived(collection, claim.measure, claim.where)
    verdict, why = _verdict(claim, statement.tolerance, ours)
    way = explaining(claim)
    return Checked(
        id=claim.id,
        line=statement.line,
        text=claim.text,
        stated=claim.stated,
        tolerance=statement.tolerance,
        verdict=verdict,
        why=why,
        derived=ours,
        explained=None if way is None else _explained(way, statement, collection),
        note=claim.note,
    )


def _verdict(claim: Claim, tolerance: float, ours: Derived) -> tuple[Verdict, str | None]:
    if claim.stated is None:
        return "not stated", ours.why
    if ours.value is None:
        return "cannot be known", ours.why or "nothing tells"
    if _agrees(claim.stated, tolerance, ours.value):
        return "holds", None
    if isinstance(claim.stated, str) or ours.least is None or ours.most is None:
        return "fails", None
    if not within(claim.stated, ours.least - tolerance, ours.most + tolerance):
        return "fails", None
    lies = f"between {words.figure(ours.least, ours.unit)} and {words.figure(ours.most, ours.unit)}"
    return "cannot be known", f"it is unknown of {words.plural(len(ours.unknown), 'attempt')}: the value may lie {lies}"


def _agrees(stated: float | str, tolerance: float, value: float | str) -> bool:
    if isinstance(stated, str) or isinstance(value, str):
        return stated == value
    return finite(value) and within(value, stated - tolerance, stated + tolerance)


def _explained(way: Like, statement: Statement, collection: Collection) -> Explained:
    found = derived(collection, way.measure, way.where)
    stated = statement.claim.stated
    reproduces = stated is not None and found.value is not None and _agrees(stated, statement.tolerance, found.value)
    return Explained(derived=found, wrong=MEASURES[way.measure].wrong, reproduces=reproduces)


def explanation(checked: Checked) -> str | None:
    """How the stated figure came to be, in a sentence; null where the file names no way."""
    if checked.explained is None or checked.stated is None:
        return None
    way = checked.explained.derived
    over = "" if way.where == checked.derived.where else f" over {said(way.where)}"
    told = checked.explained.wrong or ("" if way.measure == checked.derived.measure else _lower(way.meaning))
    because = f": {told}" if told else ""
    stated = words.as_stated(checked.stated, checked.derived.unit)
    if checked.explained.reproduces:
        return f"{stated} is what {way.measure} gives{over}{because}"
    return f"{stated} is not what {way.measure} gives{over}: that is {words.figure(way.value, way.unit)}{because}"


def _lower(meaning: str) -> str:
    return meaning[:1].lower() + meaning[1:].rstrip(".")
