"""The survey of an archive: every number in it is a figure that can be derived again, and it is inert in every form."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, imported, journal, put, trajectory, usage
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.measures import Figure, measured
from speedproof.analysis.survey import Survey, survey
from speedproof.analysis.survey.document import Section
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
                        again = measured(collection, column.measure, {**line.where, **column.where})
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


def test_attempts_are_told_by_commit(collection: Collection) -> None:
    assert measured(collection, "attempts", {"commit": HUMAN[:8]}).value == 4
