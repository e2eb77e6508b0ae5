"""Whatever stands in imported records, every question asked of them is answered, and shown inert."""

import contextlib
import json
import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from rich.console import Console

from archive_builder import NO_OUTPUT, PATCH, attempts, journal, put, trajectory, usage
from speedproof.analysis.audit import audit
from speedproof.analysis.collection import DIMENSIONS, Collection, Entry
from speedproof.analysis.errors import BY, Errors, errors
from speedproof.analysis.survey import survey
from speedproof.errors import InputError
from speedproof.journal import FailureClass
from speedproof.journal.foreign import ForeignAttempt
from speedproof.report.audit import print_audit
from speedproof.report.errors import print_errors

SOME = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FEW = settings(SOME, max_examples=10)
SEEDS = st.integers(0, 2**32)
ODD_TEXT = [
    "",
    " ",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "[bold]",
    "<script>",
    "../../x",
    "/",
    "a" * 5_000,
    "$(x)",
    "{}",
    "é\ud7ff",
]
ODD_NUMBERS = [0, -1, 1, 2**53, 2**63, -(2**63), 10**30, 1e308, -1e308, 5e-324, float("inf"), float("nan")]
ODD = [None, True, False, [], {}, *ODD_TEXT, *ODD_NUMBERS]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
BOUNDS = st.builds("{} {}".format, st.sampled_from(["<", "<=", ">", ">=", "!=", "=="]), PLAIN)
CONDITIONS = st.dictionaries(
    st.sampled_from(list(DIMENSIONS)),
    PLAIN | BOUNDS | st.just("not null") | st.lists(PLAIN, max_size=3),
    max_size=4,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def records(root: Path) -> list[dict[str, Any]]:
    """Records as they stand in attempts.jsonl: a failure, a success, one without anything."""
    runs = root / "state" / "runs"
    failed = {"trajectory__json": trajectory(usage(9, 9, 3), error=NO_OUTPUT), "model_patch__diff": PATCH}
    put(runs / "a" / "x-1", journal__json=journal("error", 1, error="x"), **failed)
    put(runs / "a" / "x-2", journal__json=journal(timestamps={"written": 1.0}), model_patch__diff="")
    put(runs / "b" / "x-3", journal__json=b"", trae_stdout__txt="Error: Config file not found.\n")
    return [record.model_dump(mode="json") for record in attempts(root, root / "state-of-ours")]


def spoiled(value: Any, chance: random.Random) -> Any:
    """A value of a record with some of its parts replaced by odd ones of the same or another kind."""
    if isinstance(value, dict):
        return {key: spoiled(each, chance) for key, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each, chance) for each in value] * chance.choice([1] * 9 + [0, 3])
    if chance.random() < 0.9:
        return value
    return chance.choice(ODD_TEXT if isinstance(value, str) else ODD_NUMBERS if isinstance(value, int | float) else ODD)


def collected(records: list[dict[str, Any]], seed: int) -> Collection:
    """A collection of spoiled records: each field that the schema takes, spoiled as it is."""
    chance = random.Random(seed)
    found: list[ForeignAttempt] = []
    for record in records * 2:
        whole = ForeignAttempt.model_validate(record)
        for key in record:
            tried = json.loads(whole.model_dump_json()) | {key: spoiled(record[key], chance)}
            with contextlib.suppress(ValidationError):
                whole = ForeignAttempt.model_validate_json(json.dumps(tried))
        found.append(whole)
    return Collection.of(
        (Entry(each, f"{each.run}/{number}") for number, each in enumerate(found)), [records[0]["archive"]]
    )


@SOME
@given(seed=SEEDS, by=st.sampled_from(BY), limit=st.integers(1, 3))
def test_errors_of_any_records_are_grouped_and_shown_inert(
    seed: int, by: Any, limit: int, records: list[dict[str, Any]]
) -> None:
    collection = collected(records, seed)
    found = errors(collection, by)
    ended = [e.name for e in collection.entries if e.attempt.diagnosis and e.attempt.run_status != "completed"]
    assert sorted(name for group in found.groups for name in group.attempts) == sorted(ended)
    assert sum(len(g.attempts) for g in found.completed) == sum(
        e.attempt.diagnosis is not None and e.attempt.run_status == "completed" for e in collection.entries
    )
    shown = StringIO()
    print_errors(found, Console(file=shown, width=120, highlight=False), limit=limit)
    assert not any(c in shown.getvalue() for c in "\x00\x1b\u202e")
    json.loads(found.model_dump_json())


@SOME
@given(seed=SEEDS, where=CONDITIONS)
def test_any_conditions_choose_the_attempts_that_each_of_them_chooses(
    seed: int, where: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    collection = collected(records[:2], seed)
    chosen = collection.where(where)
    names = {entry.name for entry in collection.entries}
    assert {entry.name for entry in chosen.entries} <= names
    again = chosen.where(where)
    assert [e.name for e in again.entries] == [e.name for e in chosen.entries]
    for name, wanted in where.items():
        one = {entry.name for entry in collection.where({name: wanted}).entries}
        assert {entry.name for entry in chosen.entries} <= one


@SOME
@given(seed=SEEDS, name=st.sampled_from(list(DIMENSIONS)))
def test_known_and_unknown_share_the_attempts_between_them(seed: int, name: str, records: list[dict[str, Any]]) -> None:
    collection = collected(records, seed)
    known, unknown = (collection.where({name: wanted}) for wanted in ("not null", None))
    assert len(known.entries) + len(unknown.entries) == len(collection.entries)


@FEW
@given(seed=SEEDS)
def test_any_records_are_audited_and_surveyed_to_the_end(seed: int, root: Path, records: list[dict[str, Any]]) -> None:
    collection = collected(records, seed)
    found = audit(collection, root / "state-of-ours")
    shown = StringIO()
    print_audit(found, Console(file=shown, width=120, highlight=False))
    assert not any(c in shown.getvalue() for c in "\x00\x1b\u202e")
    json.loads(found.model_dump_json())
    json.loads(survey(collection).model_dump_json())


@pytest.mark.parametrize("name", ["nothing", "", "Attempt", "failure.class"])
def test_a_dimension_that_is_not_there_is_refused_by_name(name: str, records: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match="no dimension"):
        collected(records, 0).where({name: "not null"})


def test_every_class_of_failure_can_be_shown(records: list[dict[str, Any]]) -> None:
    made = []
    for number, failure in enumerate(FailureClass):
        record = json.loads(json.dumps(records[0]))
        record["diagnosis"] |= {"failure": failure.value, "evidence": []}
        record |= {"id": f"{number:012x}", "commit": None, "fingerprint": None}
        made.append(Entry(ForeignAttempt.model_validate(record), f"x/{number}"))
    found: Errors = errors(Collection.of(made, ["x"]))
    assert {group.failure for group in found.groups} == set(FailureClass)
    shown = StringIO()
    print_errors(found, Console(file=shown, width=120), limit=len(FailureClass))
    assert all(failure.value in shown.getvalue() for failure in FailureClass)


def test_two_thousand_different_failures_are_grouped_at_once(records: list[dict[str, Any]], tmp_path: Path) -> None:
    base = ForeignAttempt.model_validate(records[0])
    assert base.diagnosis is not None
    made = [
        base.model_copy(
            update={
                "id": f"{n:012x}",
                "commit": f"{n:040x}",
                "run": f"run-{n % 300}",
                "fingerprint": None,
                "diagnosis": base.diagnosis.model_copy(
                    update={"message": f"{'x' * (n % 97)} {chr(97 + n % 26)} failed"}
                ),
            }
        )
        for n in range(2_000)
    ]
    for by in ("class", "fingerprint"):
        assert (
            sum(len(g.attempts) for g in errors(Collection.of((Entry(a, a.id) for a in made), ["x"]), by).groups)
            == 2_000
        )
