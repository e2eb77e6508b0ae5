"""The figures of two real archives, asked in SQL. Nothing of them is in the repository: skipped where they are not."""

import json
from pathlib import Path
from typing import Any

import pytest

from archive_builder import imported
from speedproof.analysis.catalog import asked, build_catalog

SHARED = Path(__file__).parents[2] / "shared" / "archives"
SAMPLE, THIRTY = SHARED / "sample", SHARED / "thirty-runs"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir() or not THIRTY.is_dir(), reason="the real archives are not here")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("real")
    imported(THIRTY, state)
    return build_catalog(state)


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((THIRTY / "expected.json").read_text())
    return found


def ask(catalog: Path, query: str) -> list[tuple[Any, ...]]:
    with asked(catalog, query) as answer:
        return list(answer.rows())


def test_the_figures_of_the_thirty_runs_come_out_of_sql(catalog: Path, expected: dict[str, Any]) -> None:
    query = """
        SELECT count(*), count(DISTINCT run), count(DISTINCT commit), count(*) FILTER (recorded_success),
            count(*) FILTER (NOT recorded_success), count(*) FILTER (recorded_success AND exit_and_patch),
            count(*) FILTER (patch_size > 0), count(*) FILTER (patch_size = 0),
            count(*) FILTER (NOT recorded_success AND recorded_error IS NULL),
            sum(legacy_first_input), sum(legacy_first_output), sum(legacy_no_tool_output_matches)
        FROM attempts WHERE counted"""
    assert ask(catalog, query) == [
        (
            expected["attempts"],
            expected["runs"],
            expected["commits"],
            expected["success"],
            expected["error"],
            expected["strict_success(rc0+patch)"],
            expected["nonempty"],
            expected["patch_file_present_and_empty"],
            expected["null_error_of_errors"],
            *expected["legacy_tokens_first_line"],
            expected["gpt5_matches"],
        )
    ]
    codes = ask(catalog, "SELECT recorded_exit_code, count(*) FROM attempts GROUP BY ALL")
    assert {str(code): count for code, count in codes} == expected["rc"]


@pytest.mark.parametrize(
    ("source", "name"), [("trajectory", "tokens_trajectory"), ("last_cumulative_line", "tokens_last_cumulative_stdout")]
)
def test_tokens_by_source_are_those_of_the_logs(
    catalog: Path, expected: dict[str, Any], source: str, name: str
) -> None:
    query = f"SELECT sum(input), sum(output), sum(cache_read), count(*) FROM usages WHERE source = '{source}'"
    assert list(ask(catalog, query)[0][: len(expected[name])]) == expected[name]


def test_failed_calls_are_calls_and_not_matches(catalog: Path, expected: dict[str, Any]) -> None:
    query = """SELECT count(*), count(DISTINCT attempt), sum(mentions) FROM failed_calls
        WHERE failure = 'agent/protocol/tool_output_missing'"""
    assert ask(catalog, query) == [
        (expected["gpt5_distinct_calls"], expected["gpt5_attempts"], expected["gpt5_matches"])
    ]


def test_views_agree_with_the_table(catalog: Path, expected: dict[str, Any]) -> None:
    assert ask(catalog, "SELECT sum(recorded), sum(confirmed) FROM success_rules") == [(expected["success"], 36)]
    query = """SELECT count(*), count(first_recorded), count(*) FILTER (attempts > 1), count(*) FILTER (last_recorded)
        FROM commits"""
    assert ask(catalog, query) == [
        (
            expected["commits"],
            expected["commits_any_success"],
            expected["commits_multi"],
            expected["commits_latest_attempt_success"],
        )
    ]
    assert ask(catalog, "SELECT count(*) FROM attempts WHERE model_confidence = 'none'") == [(114,)]
    every = ask(catalog, "SELECT sum(attempts) FROM errors")
    assert every == ask(catalog, "SELECT count(*) FROM attempts WHERE fingerprint IS NOT NULL")


def test_every_field_of_the_journals_is_a_fact(catalog: Path) -> None:
    file = next((THIRTY / "state").glob("runs/*/*/journal.json"))
    folder = file.parent.relative_to(THIRTY).as_posix()
    body = json.loads(file.read_text())
    query = f"""SELECT facts.path, value FROM facts JOIN attempts USING (attempt)
        WHERE folder = '{folder}' AND facts.file = 'journal.json'"""
    facts = dict(ask(catalog, query))
    assert (facts["task_id"], facts["status"]) == (body["task_id"], body["status"])
    assert facts["commits.human"] == body["commits"]["human"]
