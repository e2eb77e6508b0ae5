"""The survey of an archive: every number in it is a figure that can be derived again, and it is inert in every form."""

import errno
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, imported, journal, put, trajectory, usage
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.measures import Figure, measured
from speedproof.analysis.survey import Survey, survey
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.phrases import say
from speedproof.errors import InputError, RecordError
from speedproof.report.survey import to_text, write_survey
from speedproof.report.survey.html import to_html
from speedproof.report.survey.markdown import to_markdown

EVIL = "run<script>alert(1)<!--\x1b[31m"


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Five attempts: a good one, a refused one, one that could not start, a stale patch, a strange name."""
    root = tmp_path_factory.mktemp("archive") / "state" / "runs"
    good = trajectory(usage(1_000, 50, 400), usage(2_000, 80, 1_500))
    refused = trajectory(usage(1_000, 50), error=NO_OUTPUT)
    put(root / "one" / "item-1", journal__json=journal(), model_patch__diff=PATCH, trajectory__json=good)
    later = journal(code=1, timestamps={"written": 1_760_450_000.0})
    put(root / "one" / "item-2", journal__json=later, model_patch__diff=PATCH, trajectory__json=refused)
    put(
        root / "two" / "item-1",
        journal__json=journal("error", 1, timestamps={"written": 1_760_500_000.0}),
        model_patch__diff="",
        trae_stdout__txt="Error: Config file not found. Please specify a valid config file in the command\n",
    )
    other = {"commits": {"pre": "c" * 40, "human": "d" * 40}, "timestamps": {"written": 1_760_600_000.0}}
    put(root / "two" / "item-2", journal__json=journal(code=1, **other), model_patch__diff=PATCH)
    put(root / EVIL / "item-1", journal__json=journal(timestamps={"written": 1_760_700_000.0}), model_patch__diff=PATCH)
    state = tmp_path_factory.mktemp("state")
    imported(root, state)
    return collect([], state)


def sections(survey: Survey) -> Iterable[Section]:
    def walk(section: Section) -> Iterable[Section]:
        yield section
        for inner in section.sections:
            yield from walk(inner)

    for section in survey.sections:
        yield from walk(section)


def figures(section: Section) -> Iterable[Figure]:
    for sentence in (*(s for p in section.paragraphs for s in p), *section.points):
        yield from (part for part in sentence if isinstance(part, Figure))
    for chart in section.charts:
        yield from (bar.figure for bar in chart.bars)


def test_a_full_disk_leaves_the_earlier_survey_whole(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = survey(collection)
    write_survey(made, tmp_path)
    earlier = {file: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RecordError, match=r"survey\.md: cannot be written: No space left on device\n  next: "):
        write_survey(made, tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == earlier


def test_every_figure_is_its_measure_over_its_attempts(collection: Collection) -> None:
    found = [one for section in sections(survey(collection)) for one in figures(section)]
    assert len(found) > 100
    for one in found:
        again = measured(collection, one.measure, one.where)
        assert (again.value, len(again.counted), len(again.unknown)) == (one.value, one.attempts, one.unknown), one


def test_every_cell_is_its_columns_measure_over_its_lines_attempts(collection: Collection) -> None:
    cells = 0
    for section in sections(survey(collection)):
        for table in section.tables:
            for line in table.lines:
                for cell, column in zip(line.cells, table.columns, strict=True):
                    if column.measure is not None:
                        again = measured(collection, column.measure, line.where)
                        assert (again.value, len(again.unknown)) == (cell.value, cell.unknown), (table.title, line)
                        cells += 1
    assert cells > 100


def test_words_between_figures_hold_no_number(collection: Collection) -> None:
    names = sorted({e.name for e in collection.entries} | {e.attempt.run for e in collection.entries}, key=len)
    for section in sections(survey(collection)):
        for sentence in (*(s for p in section.paragraphs for s in p), *section.points):
            words = "".join(part for part in sentence if isinstance(part, str))
            for name in reversed(names):
                words = words.replace(name, "")
            words = re.sub(r"`[^`]*`|\b[0-9a-f]{8,40}\b|\d{4}-\d\d-\d\d|item-\d", "", words)
            assert not re.search(r"\d", words), words


def test_sections_have_names_of_their_own(collection: Collection) -> None:
    names = [section.id for section in sections(survey(collection))]
    assert len(names) == len(set(names))


def test_no_form_holds_what_an_archive_could_act_by(collection: Collection, tmp_path: Path) -> None:
    made = survey(collection)
    page, text, markdown = to_html(made), to_text(made), to_markdown(made)
    assert "<script>alert" not in page and "<script>alert" not in markdown
    for form in (page, text, markdown):
        assert "\x1b" not in form
        assert "alert" in form  # the name is shown
    written = write_survey(made, tmp_path / "out")
    assert Survey.model_validate_json(written.json.read_text()) == made


def test_the_issues_and_the_advice_are_those_of_the_attempts(collection: Collection) -> None:
    text = to_text(survey(collection))
    for words in (
        "Success is recorded where facts deny it",
        "Patches are those of earlier attempts",
        "Calls are refused for a tool call without its output",
        "Give every attempt a fresh workspace",
        "Check configuration, agent and paths before a run begins",
    ):
        assert words in text
    assert "Agents were shown the answer" not in text


@pytest.mark.parametrize("number", [0, 1])
def test_even_of_almost_nothing_there_is_a_survey(collection: Collection, number: int) -> None:
    few = Collection(collection.entries[:number], archives=("few",))
    made = survey(few)
    assert to_text(made).startswith("Survey of few")
    assert to_html(made)
    assert to_markdown(made)


def test_words_agree_with_their_figures(collection: Collection) -> None:
    def figure(value: int | None) -> Figure:
        return Figure(measure="attempts", value=value, unit="attempts", attempts=value or 0)

    words = "{} [attempt is|attempts are] of {} in {} [run|runs]"
    said = [
        "".join(p if isinstance(p, str) else str(p.value) for p in say(words, figure(n), "a {} [b|c]", figure(1)))
        for n in (1, 2)
    ]
    assert said == ["1 attempt is of a {} [b|c] in 1 run", "2 attempts are of a {} [b|c] in 1 run"]
    for number in range(1, 6):
        text = to_text(survey(Collection(collection.entries[:number], archives=("few",))))
        for line in text.splitlines():
            assert not re.search(r"(?<![\d,.–] )\b1 (attempts|runs|commits|patches|calls) ", f" {line}"), line
        assert "unknown attempts" not in text and "unknown patches" not in text


def test_what_a_recommendation_is_about_is_counted_with_time_and_money(collection: Collection) -> None:
    part = next(one for one in sections(survey(collection)) if one.id == "recommended-immediate")
    point = next(one for one in part.points if "before a run begins" in str(one[0]))
    asked = [one for one in point if isinstance(one, Figure)]
    where = {"fault": "infrastructure", "called": [False, None]}
    assert [one.measure for one in asked][:2] == ["attempts", "wall_s"]
    assert all(one.where == where for one in asked)
    assert asked[0].value == measured(collection, "failures_before_any_call").value


def test_commits_that_nothing_names_are_unknown(collection: Collection) -> None:
    nameless = tuple(replace(e, attempt=e.attempt.model_copy(update={"commit": None})) for e in collection.entries)
    for measure in ("commits", "commits_recorded", "commits_proven", "commits_with_several_attempts"):
        assert measured(Collection(nameless), measure).value is None
    assert measured(collection, "commits_proven").value is None  # nobody judged a patch
    assert measured(Collection(()), "commits").value == 0


def test_a_name_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    put(tmp_path / "their-runs" / "state" / "runs" / "r" / "i", journal__json=journal(), model_patch__diff=PATCH)
    imported(tmp_path / "their-runs", tmp_path / "state")
    with pytest.raises(InputError, match="no run and no archive is called 'ours'") as caught:
        collect(["ours"], tmp_path / "state")
    assert caught.value.hint is not None and "their-runs-" in caught.value.hint


def test_attempts_are_told_by_commit(collection: Collection) -> None:
    assert measured(collection, "attempts", {"commit": HUMAN[:8]}).value == 4


def test_an_attempt_of_ours_that_cannot_be_read_is_named(collection: Collection) -> None:
    made = survey(replace(collection, unread=("run/item/01: damaged record",)))
    assert "whose record cannot be read: `run/item/01`" in to_text(made).replace("\n", " ")
