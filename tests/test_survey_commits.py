"""Commits and retries in a survey: sequences, first successes, why outcomes differ, what a retry changed."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, QUOTA, imported, journal, put, trajectory, usage
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.measures import measured
from speedproof.analysis.survey.commits import commits_section
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.retries import retries_section
from survey_reading import derive_again, line, part, said, table, words_without_names

OTHER, THIRD, FOURTH = "c" * 40, "d" * 40, "e" * 40
START = 1_760_400_000.0
HOUR = 3_600.0


def timeless(*answers: dict[str, int], **more: Any) -> dict[str, Any]:
    """A trajectory that tells no time of its own."""
    told = trajectory(*answers, **more)
    return {key: value for key, value in told.items() if key not in ("start_time", "end_time", "execution_time")}


GOOD = timeless(usage(1_000, 50, 400), usage(2_000, 80, 1_500))


def at(hours: float, status: str = "success", code: int | None = 0, human: str = HUMAN, **more: Any) -> dict[str, Any]:
    """A journal written so many hours after the start, of an attempt that ran for 100 s."""
    commits = {"pre": "b" * 40, "human": human}
    return journal(status, code, commits=commits, timestamps={"written": START + hours * HOUR}, **more)


def built(root: Path) -> Path:
    runs = root / "state" / "runs"
    no_config = "Error: Config file not found. Please specify a valid config file in the command\n"

    def attempt(run: str, item: str, record: dict[str, Any], **files: Any) -> None:
        put(runs / run / item, journal__json=record, **files)

    # one commit: it could not start, then worked, then was refused
    attempt("r1", "a", at(0, "error", 1), model_patch__diff="", trae_stdout__txt=no_config)
    attempt("r2", "a", at(1), model_patch__diff=PATCH, trajectory__json=GOOD)
    refused = timeless(usage(10, 5), error=QUOTA)
    attempt("r3", "a", at(2, "error", 1), model_patch__diff="", trajectory__json=refused)
    # two more, by two runs at the same time: one differs by the model, one by nothing
    other_model = GOOD | {
        "model": "gpt-4o",
        "llm_interactions": [{"response": {"model": "gpt-4o", "usage": usage(9, 9)}}],
    }
    crash = timeless(usage(10, 5), error=NO_OUTPUT)
    attempt("r4", "b", at(100, human=OTHER), model_patch__diff=PATCH + "\n", trajectory__json=other_model)
    attempt("r5", "b", at(100.01, "error", 1, OTHER), model_patch__diff="", trajectory__json=crash)
    attempt("r4", "c", at(100.02, human=THIRD), model_patch__diff=PATCH + "\n\n", trajectory__json=GOOD)
    attempt("r5", "c", at(100.03, "error", 1, THIRD), model_patch__diff="", trajectory__json=crash)
    # one that nobody ever solved
    attempt("r5", "d", at(100.04, "error", 1, FOURTH), model_patch__diff="", trajectory__json=crash)
    return root


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    root, state = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("state")
    imported(built(root), state)
    return collect([], state)


@pytest.fixture(scope="module")
def commits(collection: Collection) -> Section:
    return commits_section(Part(collection))


@pytest.fixture(scope="module")
def retries(collection: Collection) -> Section:
    return retries_section(Part(collection))


def test_every_number_is_derived_again(collection: Collection, commits: Section, retries: Section) -> None:
    assert derive_again(collection, commits) > 80
    assert derive_again(collection, retries) > 80
    for section in (commits, retries):
        for words in words_without_names(collection, section):
            assert not re.search(r"\d", words), words


def test_a_commits_attempts_are_a_sequence_with_its_first_success_and_last_state(commits: Section) -> None:
    found = line(commits, "Commits with several attempts", HUMAN[:8])
    assert (found["Attempts"], found["Runs"]) == (3, 3)
    assert found["Sequence"] == "1 error, 1 success, 1 error"
    assert (found["First success"], found["Last"]) == ("r2/a", "error")
    assert (found["Recorded"], found["Exit and patch"], found["Confirmed"]) == (1, 1, 1)


def test_the_most_difficult_commits_come_first(commits: Section) -> None:
    several = table(commits, "Commits with several attempts")
    assert [row.cells[0].value for row in several.lines] == [HUMAN[:8], OTHER[:8], THIRD[:8]]
    assert [row.cells[0].value for row in table(commits, "Commits with one attempt").lines] == [FOURTH[:8]]


def test_a_commit_tried_often_is_told_attempt_by_attempt(commits: Section) -> None:
    one = part(commits, f"Commit {HUMAN[:8]}")
    assert "First success: recorded r2/a; exit and patch r2/a; strict r2/a; confirmed r2/a." in said(one)
    assert [row.cells[0].value for row in one.tables[0].lines] == ["r1/a", "r2/a", "r3/a"]
    assert "Recorded: 0 succeed in every attempt, 3 in some, 0 in none." in said(commits)


def test_mixed_outcomes_are_told_by_what_explains_them(collection: Collection, commits: Section) -> None:
    mixed = part(commits, "Mixed outcomes")
    reasons = {row.cells[0].value: row.cells[2].value for row in mixed.tables[0].lines}
    assert reasons == {"infrastructure": 1, "provider": 1, "configuration": 1, "unexplained": 1}
    assert collection.history.because == {
        "r1/a": "infrastructure",
        "r3/a": "provider",
        "r5/b": "configuration",
        "r5/c": "unexplained",
    }


def test_attempts_of_runs_at_the_same_time_are_no_retries(collection: Collection, retries: Section) -> None:
    assert collection.history.turns == {
        "r1/a": "first",
        "r2/a": "retry",
        "r3/a": "retry",
        "r4/b": "first",
        "r5/b": "concurrent",
        "r4/c": "first",
        "r5/c": "concurrent",
        "r5/d": "first",
    }
    assert "1 of these was tried again after an attempt had ended, 2 only by runs" in said(retries)
    assert measured(collection, "commits_retried").value == 1


def test_what_a_retry_changed_is_told_by_the_failure_before_it(retries: Section) -> None:
    words = said(retries)
    assert "Of retries after a recorded failure, recorded as a success: 1 of 1; " in words
    assert "of those after a recorded success, recorded as a failure: 1 of 1. Confirmed: 1 and 0." in words
    assert "led to a confirmed success: infrastructure/harness/config_missing (1 of 1)." in words
    before = line(retries, "Retries by the failure before", "infrastructure/harness/config_missing")
    assert (before["Attempts"], before["Confirmed"]) == (1, 1)
    assert line(retries, "Retries by the failure before", "none")["Attempts"] == 1


def test_commits_without_success_are_listed_with_the_causes(retries: Section) -> None:
    found = line(retries, "Commits without a recorded success", FOURTH[:8])
    assert found["Why its attempts failed"] == "agent/protocol/tool_output_missing"
    assert "recorded 1, exit and patch 1, strict 1, confirmed 1, proven unknown." in said(retries)


def test_a_retry_in_the_same_run_counts(collection: Collection) -> None:
    again = [replace(e, attempt=e.attempt.model_copy(update={"run": "r1"})) for e in collection.entries[:3]]
    turns = Collection(tuple(again)).history.turns
    assert list(turns.values()) == ["first", "retry", "retry"]


def test_attempts_without_time_are_neither(collection: Collection) -> None:
    blank = {"began": None, "ended": None, "written": None}
    timeless = [replace(e, attempt=e.attempt.model_copy(update=blank)) for e in collection.entries[:3]]
    found = Collection(tuple(timeless))
    assert found.history.turns == {"r1/a": "first"}
    derive_again(found, retries_section(Part(found)))


def test_where_no_attempt_names_its_commit_that_is_said(collection: Collection) -> None:
    nameless = tuple(replace(e, attempt=e.attempt.model_copy(update={"commit": None})) for e in collection.entries)
    for found in (Collection(nameless), Collection(())):
        assert "No attempt names its commit" in said(commits_section(Part(found)))
        assert "No attempt names its commit" in said(retries_section(Part(found)))


def test_a_commit_that_was_solved_for_sure_is_told_so(collection: Collection) -> None:
    judged = Collection(tuple(replace(e, proven=e.name == "r2/a") for e in collection.entries))
    section = commits_section(Part(judged))
    derive_again(judged, section)
    assert "confirmed 3, proven 1." in said(section)
    assert "Proven: 0 succeed in every attempt, 1 in some, 2 in none." in said(section)
