"""Every run of an archive in full: facts, items, what the evidence says, the most telling thing."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, QUOTA, imported, journal, put, trajectory, usage
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.runs import runs_section
from survey_reading import derive_again, line, part, said, table, walk, words_without_names

OTHER = "c" * 40
NO_CONFIG = "Error: Config file not found. Please specify a valid config file in the command\n"
DAY = 86_400.0
START = 1_760_400_000.0  # 2025-10-14, UTC


def at(days: float, status: str = "success", code: int | None = 0, human: str = HUMAN, **more: Any) -> dict[str, Any]:
    """A journal written so many days after the start, of an attempt that ran for 100 s."""
    commits = {"pre": "b" * 40, "human": human}
    return journal(status, code, commits=commits, timestamps={"written": START + days * DAY}, **more)


def built(root: Path) -> Path:
    """Five runs: two could not start, one succeeded, one claims its patch, a batch was refused and was not."""
    runs = root / "state" / "runs"
    good = trajectory(usage(1_000, 50, 400), usage(2_000, 80, 1_500))
    refused = trajectory(usage(1_000, 50), error=NO_OUTPUT)
    for number in ("1", "2"):
        put(
            runs / "broken" / f"item-{number}",
            journal__json=at(0, "error", 1, HUMAN if number == "1" else OTHER),
            model_patch__diff="",
            trae_stdout__txt=NO_CONFIG,
        )
    put(runs / "good" / "item-1", journal__json=at(1), model_patch__diff=PATCH, trajectory__json=good)
    put(runs / "stale" / "item-1", journal__json=at(1.5, code=1), model_patch__diff=PATCH, trae_stderr__txt="boom\n")
    batch = runs / "batch"
    put(batch / "item-1", journal__json=at(9, code=1), model_patch__diff=PATCH + "\n", trajectory__json=refused)
    quota = trajectory(usage(10, 5), error=QUOTA)
    put(batch / "item-2", journal__json=at(9.1, "error", 1, OTHER), model_patch__diff="", trajectory__json=quota)
    put(
        runs / "beside" / "item-2",
        journal__json=at(9.05, "error", 0, OTHER),
        model_patch__diff=PATCH.replace("sorted", "tuple"),
        trajectory__json=good,
    )
    return root


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    root, state = tmp_path_factory.mktemp("archive"), tmp_path_factory.mktemp("state")
    imported(built(root), state)
    return collect([], state)


@pytest.fixture(scope="module")
def section(collection: Collection) -> Section:
    return runs_section(Part(collection))


def test_every_number_is_derived_again(collection: Collection, section: Section) -> None:
    assert derive_again(collection, section) > 200


def test_words_hold_no_number(collection: Collection, section: Section) -> None:
    for words in words_without_names(collection, section):
        assert not re.search(r"\d", words), words


def test_runs_stand_in_the_order_of_time_with_what_is_most_telling(section: Section) -> None:
    assert [one.title for one in section.sections] == [
        "broken: failed at start-up",
        "good: nothing stands out",
        "stale: a patch that was there before",
        "batch: success with a bad exit code",
        "beside: failure with a patch",
    ]
    names = [one.id for one in walk(section)]
    assert len(names) == len(set(names))


def test_the_facts_tell_time_names_successes_tokens_and_cost(section: Section) -> None:
    facts = said(part(section, "good: "))
    for words in (
        ", last concluded 2025-10-15 00:00:00, UTC.",
        "Items: 1 attempt at 1 commit.",
        "Agent: `trae`, by the agent's own records.",
        "Model: `gpt-5-2025-08-07`, by the agent's own records.",
        "Successes: recorded 1 (100.0 of all), exit and patch 1, strict 1, confirmed 1, proven ",
        "Tokens: input 3000, of which cached 1900; output 130.",
        "Steps: 2; model calls: 2; failed: 0.",
    ):
        assert words in facts


def test_an_item_says_what_was_recorded_and_its_cause(section: Section) -> None:
    item = line(part(section, "batch: "), "Items", "item-2")
    assert item["Commit"] == OTHER[:8]
    assert (item["Status"], item["Exit"], item["Patch"], item["Kind"]) == ("error", 1, 0, "empty")
    assert item["Error as recorded, or cause"] == "model/quota/exhausted"


def test_attempts_that_could_not_start_are_told_by_class_and_evidence(section: Section) -> None:
    run = part(section, "broken: ")
    assert "2 of 2 attempts failed at start-up, before any call" in said(run)
    (quote,) = part(run, "Critical").quotes
    assert (quote.attempt, quote.line, quote.text) == ("broken/item-1", 1, NO_CONFIG.strip())
    assert quote.file == "state/runs/broken/item-1/trae_stdout.txt"


def test_a_patch_that_was_left_over_is_told_with_its_origin(section: Section) -> None:
    words = said(part(part(section, "stale: "), "Critical"))
    assert "The patch of `item-1` is byte for byte that of `good/item-1`, concluded 12.0 earlier" in words
    assert "no file shows a call of its own agent" in words
    assert "It is recorded as a success." in words


def test_each_failure_of_a_run_is_counted_and_quoted(section: Section) -> None:
    analysis = part(part(section, "batch: "), "Analysis")
    words = said(analysis)
    assert "1 attempt failed with agent/protocol/tool_output_missing" in words
    assert "1 attempt failed with model/quota/exhausted" in words
    assert (
        "The provider refused 1 call, in 1 attempt, since the agent had left a tool call without its output." in words
    )
    assert "Under way at the same time and working on 1 of its commits too: `beside`." in words
    assert [quote.attempt for quote in analysis.quotes] == ["batch/item-1", "batch/item-2"]
    assert all(quote.file.startswith("state/runs/batch/") and quote.text for quote in analysis.quotes)


def test_a_failure_that_left_a_patch_is_told(section: Section) -> None:
    assert "recorded as a failure although the process ended well and left a patch" in said(part(section, "beside: "))


def test_names_may_hold_anything(tmp_path: Path) -> None:
    runs = tmp_path / "archive" / "state" / "runs"
    names = ("a {} b", "a {0} b", "`tick` <b>", "x" * 200)
    for day, name in enumerate(names):
        put(runs / name / "item{}`", journal__json=at(day), model_patch__diff=PATCH)
    imported(tmp_path / "archive", tmp_path / "state")
    found = collect([], tmp_path / "state")
    section = runs_section(Part(found))
    assert derive_again(found, section) > 100
    assert len(section.sections) == len(names)
    assert len({one.id for one in walk(section)}) == len(list(walk(section)))
    assert all(len(one.title) < 200 for one in section.sections)


@pytest.mark.parametrize("number", [0, 1])
def test_of_almost_nothing_there_is_a_section(collection: Collection, number: int) -> None:
    few = Collection(collection.entries[:number], archives=("few",))
    section = runs_section(Part(few))
    derive_again(few, section)
    assert len(section.sections) == number


def test_what_is_proven_is_known_of_judged_attempts(collection: Collection) -> None:
    judged = Collection(tuple(replace(e, proven=e.attempt.run == "good") for e in collection.entries))
    section = runs_section(Part(judged))
    assert "proven 1." in said(part(section, "good: "))
    assert "proven 0." in said(part(section, "stale: "))
    assert line(section, "All runs", "good")["Proven"] == 1
    disproven = Collection(tuple(replace(e, proven=False) for e in collection.entries if e.attempt.run == "good"))
    assert runs_section(Part(disproven)).sections[0].title == "good: success disproven"


def test_a_success_that_left_nothing_to_judge_is_told(collection: Collection) -> None:
    good = next(e for e in collection.entries if e.attempt.run == "good")
    record = good.attempt.model_copy(update={"patch_status": "no_effect"})
    found = Collection((replace(good, attempt=record),))
    section = runs_section(Part(found))
    derive_again(found, section)
    assert section.sections[0].title == "good: success without a change"
    assert "left nothing that could be judged: patch no_effect." in said(section)


def test_of_very_many_runs_those_of_one_attempt_are_lines(collection: Collection) -> None:
    one = next(e for e in collection.entries if e.attempt.run == "good")
    many = [
        replace(one, name=f"copy-{n:03d}/item-1", attempt=one.attempt.model_copy(update={"run": f"copy-{n:03d}"}))
        for n in range(120)
    ]
    found = Collection((*collection.entries, *many))
    section = runs_section(Part(found))
    assert [each.title.partition(":")[0] for each in section.sections] == ["broken", "batch"]
    singles = table(section, "Runs of one attempt")
    assert len(singles.lines) == 120 + 3
    derive_again(found, section)


def test_lines_of_a_prediction_file_are_told_without_commits(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    lines = [
        {"instance_id": f"project__{n}", "model_name_or_path": "some-model", "model_patch": PATCH if n else ""}
        for n in range(3)
    ]
    (folder / "preds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    imported(folder, tmp_path / "state")
    found = collect([], tmp_path / "state")
    section = runs_section(Part(found))
    derive_again(found, section)
    assert "none names its commit" in said(section)
    assert len(section.sections) == 1
