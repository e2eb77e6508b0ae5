"""A claims file: what a document says of attempts, statement by statement, in YAML."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from speedproof.analysis.claims.conditions import mistake
from speedproof.analysis.claims.stated import finite, half_a_digit, tolerance_of
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import MEASURES
from speedproof.errors import InputError
from speedproof.journal import Record
from speedproof.tasks.suite import invalid, line_of, load_yaml

HINT = "see docs/claims.md"
_LARGEST = 4_000_000
"""Bytes of a claims file: thousands of statements, read in seconds."""


def _plain(value: Any) -> Any:
    """What YAML reads as a day is meant as text."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _figure(value: Any) -> Any:
    """Truth is meant as a word."""
    return str(value).lower() if isinstance(value, bool) else _plain(value)


Conditions = Annotated[dict[str, Plain | list[Plain]], BeforeValidator(_plain)]


class Like(Record):
    """A measure over attempts."""

    measure: str
    """Name of the measure (docs/measures.md)."""
    where: Conditions = {}
    """Conditions that choose the attempts; none: all."""


class Claim(Record):
    """One statement."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=80)
    """Its name in this file."""
    text: str = Field(min_length=1, max_length=1000)
    """What the document says, short."""
    measure: str
    """Name of the measure that says what is meant (docs/measures.md)."""
    where: Conditions = {}
    """Conditions that choose the attempts; none: all."""
    stated: Annotated[int | float | str | None, BeforeValidator(_figure)] = None
    """The figure, or the words, that the document states; null where it states none, and ours is wanted."""
    tolerance: float | str | None = None
    """How far off the figure may be: a number of the measure's unit, or a share such as 5 %. Null: half of the last
    digit as written."""
    legacy: str | Like | None = None
    """The measure that explains how the figure came to be, over the same attempts; or a measure with conditions of its
    own."""
    note: str | None = Field(default=None, max_length=2000)
    """What to know about it."""


class Claims(Record):
    """A whole claims file."""

    document: str = Field(min_length=1, max_length=500)
    """What makes the statements: a title, an address."""
    about: tuple[str, ...] = ()
    """The runs and archives that it is about; none: all there are."""
    claims: tuple[Claim, ...] = Field(min_length=1)
    """The statements, in the order of the document."""


@dataclass(frozen=True)
class Statement:
    """A claim with the place it stands at and what its figure allows."""

    claim: Claim
    """The claim."""
    line: int | None
    """Its line in the file."""
    tolerance: float
    """How far off the figure may be; 0 for words."""


@dataclass(frozen=True)
class Loaded:
    """A claims file as read."""

    file: Path
    """The file."""
    claims: Claims
    """What stands in it."""
    statements: tuple[Statement, ...]
    """Its claims."""


def load_claims(path: Path) -> Loaded:
    """Read and check a claims file. Raises InputError naming file, line and field."""
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise InputError("a claims file has at most 4 MB", file=path, hint="split it, a file for each document")
    document = load_yaml(path)
    if not isinstance(document, dict):
        raise InputError("a claims file is a mapping with `document` and `claims`", file=path, line=1, hint=HINT)
    try:
        claims = Claims.model_validate(document)
    except ValidationError as error:
        raise invalid("claims", document, path, error.errors(include_url=False), HINT) from error
    written = _written(path)
    seen: dict[str, int] = {}
    statements = []
    for index, claim in enumerate(claims.claims):
        place = ("claims", index)
        if claim.id in seen:
            raise _wrong(document, path, (*place, "id"), f"a claim above is called {claim.id!r} too")
        seen[claim.id] = index
        for field, measure, where in _measures(claim):
            if measure not in MEASURES:
                raise _wrong(
                    document, path, (*place, field), f"no measure is called {measure!r}", "speedproof measures"
                )
            at = (*place, "where" if field == "measure" else field)
            try:
                wrong = mistake(where)
            except InputError as error:
                raise _wrong(document, path, at, error.what, error.hint or HINT) from error
            if wrong:
                raise _wrong(document, path, at, wrong)
        try:
            tolerance = _tolerance(claim, written.get(index))
        except ValueError as error:
            field = "tolerance" if claim.tolerance is not None else "stated"
            raise _wrong(document, path, (*place, field), str(error)) from error
        statements.append(Statement(claim, line_of(document, place), tolerance))
    return Loaded(path, claims, tuple(statements))


def explaining(claim: Claim) -> Like | None:
    """The measure that explains how the figure came to be, with its conditions."""
    return Like(measure=claim.legacy, where=claim.where) if isinstance(claim.legacy, str) else claim.legacy


def _measures(claim: Claim) -> list[tuple[str, str, dict[str, Plain | list[Plain]]]]:
    other = explaining(claim)
    return [("measure", claim.measure, claim.where), *([("legacy", other.measure, other.where)] if other else [])]


def _tolerance(claim: Claim, written: str | None) -> float:
    """Raises ValueError when figure, tolerance and measure do not go together."""
    stated, unit = claim.stated, MEASURES[claim.measure].unit
    if stated is None:
        if claim.tolerance is not None:
            raise ValueError("a tolerance needs a stated figure")
        return 0
    if isinstance(stated, str):
        if unit != "text":
            raise ValueError(
                f"{claim.measure} is a number: write {stated!r} as one, without unit and thousands' commas"
            )
        if claim.tolerance is not None:
            raise ValueError("words have no tolerance")
        return 0
    if unit == "text":
        raise ValueError(f"{claim.measure} is words: put {stated!r} in quotes")
    if not finite(stated):
        raise ValueError("a stated figure is finite")
    if claim.tolerance is None:
        return half_a_digit(written if written is not None else repr(stated))
    return tolerance_of(claim.tolerance, stated)


def _wrong(document: Any, path: Path, place: tuple[str | int, ...], what: str, hint: str = HINT) -> InputError:
    return InputError(f"{'.'.join(map(str, place))}: {what}", file=path, line=line_of(document, place), hint=hint)


def _written(path: Path) -> dict[int, str]:
    """Each claim's stated figure as it stands in the file: 51.70 has two digits after the point."""
    claims = _below(YAML(typ="rt").compose(StringIO(path.read_text(encoding="utf-8"))), "claims")
    found = {}
    for index, node in enumerate(claims.value if isinstance(claims, SequenceNode) else []):
        stated = _below(node, "stated")
        if isinstance(stated, ScalarNode):
            found[index] = str(stated.value)
    return found


def _below(node: Any, name: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in pairs if isinstance(key, ScalarNode) and key.value == name), None)
