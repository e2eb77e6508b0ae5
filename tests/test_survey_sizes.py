"""Runs by size and period, and batches against single runs, in a survey."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archive_builder import PATCH, imported, journal, put, trajectory, usage
from speedproof.analysis.collection import Collection, Entry, collect
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.sizes import sizes_section
from speedproof.journal import Diagnosis, FailureClass
from survey_reading import derive_again, line, part, said, words_without_names

DAY = datetime(2025, 10, 8, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """A confirmed success."""
    root, state = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("state")
    good = trajectory(usage(1_000, 50, 400))
    put(root / "state" / "runs" / "r" / "a", journal__json=journal(), model_patch__diff=PATCH, trajectory__json=good)
    imported(root, state)
    (entry,) = collect([], state).entries
    return entry


def attempt(one: Entry, run: str, number: int, days: float, *, commit: int | None = None, fails: bool = False) -> Entry:
    when = DAY + timedelta(days=days, minutes=number)
    record = one.attempt
    recorded = record.recorded.model_copy(update={"written": when.timestamp()})
    updates = {
        "recorded": recorded,
        "run": run,
        "item": f"i{number}",
        "id": f"{run}{number}",
        "commit": f"{number if commit is None else commit:040x}",
        "began": when,
        "ended": when,
        "written": when,
    }
    if fails:
        cause = Diagnosis(
            failure=FailureClass.QUOTA_EXHAUSTED, message="", stage="run", confidence="direct", evidence=()
        )
        failed = recorded.model_copy(update={"status": "error", "success": False})
        updates |= {
            "recorded": failed,
            "diagnosis": cause,
            "confirmed": False,
            "strict": False,
            "exit_and_patch": False,
        }
    return replace(one, name=f"{run}/i{number}", attempt=record.model_copy(update=updates))


def runs(one: Entry, *, apart: bool = True) -> Collection:
    """Twelve runs of one attempt, and a batch of sixty: three weeks later, and without credit, where they are apart."""
    alone = [attempt(one, f"s{n}", n, n / 10) for n in range(12)]
    batch = [attempt(one, "batch", n, 21.0 if apart else 0.5, fails=apart and n % 2 == 0) for n in range(60)]
    return Collection.of([*alone, *batch], ["few"])


def test_every_number_is_derived_again(one: Entry) -> None:
    for apart in (True, False):
        found = runs(one, apart=apart)
        section = sizes_section(Part(found))
        assert derive_again(found, section) > 80
        for words in words_without_names(found, section):
            assert not re.search(r"\d", words), words


def test_runs_are_told_by_size(one: Entry) -> None:
    section = sizes_section(Part(runs(one)))
    assert "12 of 13 runs made one attempt; the largest made 60." in said(section)
    single = line(section, "Runs by size", "1 attempt")
    assert (single["Runs"], single["Attempts"], single["Recorded"], single["Confirmed"]) == (12, 12, 12, 12)
    assert line(section, "Runs by size", "50 attempts and more")["Attempts"] == 60
    assert line(section, "Shares by size", "50 attempts and more")["Recorded"] == 50
    assert line(section, "Shares by size", "2–9 attempts")["Recorded"] is None


def test_periods_are_parted_by_days_without_an_attempt(one: Entry) -> None:
    periods = part(sizes_section(Part(runs(one))), "Periods")
    assert "2025-10-08 to 2025-10-09: 12 runs, 12 attempts at 12 commits; agent `trae`" in said(periods)
    assert "2025-10-29: 1 run, 60 attempts at 60 commits" in said(periods)
    assert "most failures: model/quota/exhausted (30)." in said(periods)
    every, recorded, confirmed = periods.charts
    assert [(bar.label, bar.figure.value) for bar in every.bars] == [
        ("2025-10-08", 5),
        ("2025-10-09", 7),
        ("2025-10-29", 60),
    ]
    assert [bar.figure.value for bar in recorded.bars] == [5, 7, 30]
    assert [bar.figure.value for bar in confirmed.bars] == [5, 7, 30]


def test_there_are_never_very_many_periods(one: Entry) -> None:
    found = Collection.of([attempt(one, f"r{n}", n, 2.0 * n) for n in range(200)], ["few"])
    assert len(set(found.history.periods.values())) <= 24
    section = sizes_section(Part(found))
    derive_again(found, section)
    assert len(part(section, "Periods").charts[0].bars) <= 24


def test_batches_and_single_runs_that_differ_otherwise_are_not_compared(one: Entry) -> None:
    words = said(part(sizes_section(Part(runs(one))), "Batches"))
    assert "The data cannot tell whether making attempts in batches changes how they end" in words
    assert "Period: alone `2025-10-08`, in batches `2025-10-29`: none in common." in words
    assert "Failures: infrastructure or provider stopped 0 of 12 attempts alone and 30 of 60 in batches." in words
    assert "12 of 12 alone and 30 of 30 in batches are recorded as a success" in words
    assert "Pairs: of 12 commits tried both ways, a success is recorded alone at 12 and in batches at 6" in words


def test_where_nothing_else_differs_the_pairs_are_the_comparison(one: Entry) -> None:
    words = said(part(sizes_section(Part(runs(one, apart=False))), "Batches"))
    assert "No other difference between the two shows in the files" in words
    assert "The data cannot tell" not in words


def test_where_there_is_one_kind_of_run_there_is_nothing_to_compare(one: Entry) -> None:
    alone = Collection(tuple(e for e in runs(one).entries if e.attempt.run != "batch"))
    assert "All attempts were made alone" in said(sizes_section(Part(alone)))
    empty = sizes_section(Part(Collection(())))
    assert "There is no attempt." in said(empty)
    assert "No attempt has a time." in said(empty)
