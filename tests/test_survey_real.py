"""What a survey says of the runs and commits of two real archives. Skipped where the archives are not."""

import re
from pathlib import Path

import pytest

from archive_builder import imported
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.measures import measured
from speedproof.analysis.survey.commits import commits_section
from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.retries import retries_section
from speedproof.analysis.survey.runs import runs_section
from speedproof.analysis.survey.sizes import sizes_section
from survey_reading import derive_again, line, part, said, table, walk, words_without_names

SHARED = Path(__file__).parents[2] / "shared" / "archives"
pytestmark = pytest.mark.skipif(not (SHARED / "thirty-runs").is_dir(), reason="the real archives are not here")

SECTIONS = (runs_section, sizes_section, retries_section, commits_section)


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    state = tmp_path_factory.mktemp("thirty")
    imported(SHARED / "thirty-runs", state)
    return collect([], state)


@pytest.fixture(scope="module")
def runs(thirty: Collection) -> Section:
    return runs_section(Part(thirty))


@pytest.fixture(scope="module")
def commits(thirty: Collection) -> Section:
    return commits_section(Part(thirty))


@pytest.mark.parametrize("name", ["thirty-runs", "sample"])
def test_every_number_of_the_sections_is_derived_again(name: str, tmp_path: Path) -> None:
    imported(SHARED / name, tmp_path)
    found = collect([], tmp_path)
    made = [section(Part(found)) for section in SECTIONS]
    assert sum(derive_again(found, section) for section in made) > 2_000
    names = [one.id for section in made for one in walk(section)]
    assert len(names) == len(set(names))
    for section in made:
        for words in words_without_names(found, section):
            assert not re.search(r"\d", words), words


def test_the_run_that_was_said_to_have_sixty_items_has_seven(runs: Section) -> None:
    run = part(runs, "vllm_core-4be69dfd")
    assert len(table(run, "Items").lines) == 7
    facts = said(run)
    assert "recorded 0 (0.0 of all), exit and patch 3, strict 3, confirmed 3" in facts
    assert "Durations: 145.6" in facts
    assert "to 1845.4" in facts
    assert "3 recorded failures left a patch" in facts
    assert run.title == "vllm_core-4be69dfd: failure with a patch"


def test_the_large_runs_are_as_their_files_say(runs: Section) -> None:
    for run, items, successes in (("a40b2039", 49, 31), ("beffe4cd", 49, 32), ("9641716f", 60, 56)):
        found = line(runs, "All runs", f"vllm_core-{run}")
        assert (found["Attempts"], found["Recorded"]) == (items, successes)


def test_a_success_that_is_an_earlier_patch_is_told(runs: Section) -> None:
    words = said(part(part(runs, "vllm_core-34aabdf0"), "Critical"))
    found = re.search(r"byte for byte that of `vllm_core-73442e7b/vllm_core-0000`, concluded ([\d.]+) earlier", words)
    assert found is not None
    assert float(found[1]) == pytest.approx(7.9, abs=0.05)


@pytest.mark.parametrize(("run", "failures"), [("84ca0ad4", 43), ("8e54a51a", 31)])
def test_failures_at_start_up_are_told_as_one(runs: Section, run: str, failures: int) -> None:
    found = part(runs, f"vllm_core-{run}")
    assert found.title.endswith(": failed at start-up")
    observation = part(found, "Critical")
    assert f"{failures} of {len(table(found, 'Items').lines)} attempts failed at start-up" in said(observation)
    assert observation.quotes[0].line is not None


def test_the_commit_tried_most_is_told_in_the_order_of_time(commits: Section) -> None:
    found = line(commits, "Commits with several attempts", "8aa1485f")
    assert (found["Attempts"], found["Sequence"]) == (21, "7 error, 12 success, 2 error")
    assert (found["First success"], found["Last"]) == ("vllm_core-e615cb42/vllm_core-0000", "error")
    assert len(table(commits, "Commits with several attempts").lines) == 80


def test_turns_agree_with_the_measures(thirty: Collection) -> None:
    retried = measured(thirty, "commits_retried").value
    assert measured(thirty, "commits", {"turn": "retry"}).value == retried == 47
    assert measured(thirty, "commits_only_concurrent").value == 33
    assert len(thirty.history.turns) == 300


def test_sizes_and_batches_are_as_the_files_say(thirty: Collection) -> None:
    section = sizes_section(Part(thirty))
    sizes = table(section, "Runs by size")
    assert [row.cells[1].value for row in sizes.lines] == [22, 2, 5, 1]
    words = said(part(section, "Batches"))
    assert "Alone 15 of 22 attempts are recorded as a success" in words
    assert "in batches 119 of 278" in words
    assert "The data cannot tell" in words
    assert part(section, "Periods").charts[0].bars[0].label == "2025-10-08"
