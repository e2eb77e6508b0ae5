"""Our own reports, derived again: what stands in them is what the records give, and what was changed is found."""

import json
from pathlib import Path
from typing import Any

import pytest

from claims_builder import command, small_archive
from record_builder import demo_run
from speedproof.analysis.claims import check_run_report, check_survey
from speedproof.analysis.collection import Collection
from speedproof.analysis.run_report import run_report
from speedproof.analysis.survey import Survey, survey
from speedproof.errors import InputError


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("again")


@pytest.fixture(scope="module")
def collection(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small_archive(tmp_path_factory.mktemp("archive"), state)


@pytest.fixture(scope="module")
def report(collection: Collection) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(survey(collection).model_dump_json())
    return made


def first_table(report: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A table with a line, and the column of its first number."""
    waiting = list(report["sections"])
    while waiting:
        section = waiting.pop(0)
        waiting += section["sections"]
        for table in section["tables"]:
            numbers = [n for n, column in enumerate(table["columns"]) if column["measure"]]
            if table["lines"] and numbers:
                return table, numbers[0]
    raise AssertionError("no table")


def figures(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, dict):
        own = [node] if {"measure", "attempts", "unknown"} <= node.keys() else []
        return own + [one for value in node.values() for one in figures(value)]
    return [one for value in node for one in figures(value)] if isinstance(node, list) else []


def test_every_number_of_a_survey_is_derived_again_and_none_differs(
    collection: Collection, report: dict[str, Any]
) -> None:
    again = check_survey(Survey.model_validate(report), collection)
    cells = sum(1 for _ in figures(report))
    assert again.checked > cells > 50
    assert again.differing == ()


def test_every_changed_number_is_found_with_its_place(collection: Collection, report: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(report))
    table, column = first_table(changed)
    table["lines"][0]["cells"][column]["value"] = 12345
    table["lines"][0]["cells"][column]["unknown"] = 99
    every = figures(changed["sections"])
    every[0]["value"], every[-1]["attempts"] = "many", 77
    again = check_survey(Survey.model_validate(changed), collection)
    found = {(one.what, one.stated) for one in again.differing}
    assert found == {("value", 12345), ("unknown", 99), ("value", "many"), ("attempts", 77)}
    place = next(one.place for one in again.differing if one.stated == 12345)
    assert place.endswith(table["columns"][column]["title"]) and table["title"] in place


def test_a_figure_of_no_measure_or_dimension_differs_and_does_not_end_the_check(
    collection: Collection, report: dict[str, Any]
) -> None:
    changed = json.loads(json.dumps(report))
    every = figures(changed["sections"])
    every[0]["measure"], every[1]["where"] = "luck", {"colour": "red"}
    every[2]["value"], every[2]["where"] = 10**400, {"run_items": [10**400, None, "not null"]}
    again = check_survey(Survey.model_validate(changed), collection)
    found = {one.what for one in again.differing}
    assert found >= {"no measure is called 'luck'", "no dimension is called 'colour'", "value"}


def test_the_command_checks_a_survey_and_says_what_differs(
    collection: Collection, report: dict[str, Any], state: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report))
    result = command("claims", "check", file, "--state", state)
    assert (result.exit_code, "none differs" in result.stdout) == (0, True), result.output
    changed = json.loads(json.dumps(report))
    figures(changed["sections"])[0]["value"] = -5
    changed["sections"][0]["id"] = "\x1b[31mred"
    file.write_text(json.dumps(changed))
    result = command("claims", "check", file, "--state", state)
    assert result.exit_code == 1 and "the report says -5; derived: " in result.stdout and "\x1b" not in result.stdout
    found = json.loads(command("claims", "check", file, "--state", state, "--json").stdout)
    assert [one["stated"] for one in found["differing"]] == [-5]


def test_a_runs_report_is_compared_leaf_by_leaf(tmp_path: Path) -> None:
    run = demo_run(tmp_path)
    stated = json.loads(run_report(run).model_dump_json())
    again = check_run_report(stated, run)
    assert again.checked > 500 and again.differing == ()
    stated["rows"][0]["task"] = "another"
    stated["funnel"]["launched"] = 1
    del stated["tally"]
    again = check_run_report(stated, run)
    places = {one.place: one.what for one in again.differing}
    assert places["$.rows[0].task"] == "value"
    assert places["$.tally"] == "missing in the report"
    assert places["$.funnel.launched"] == "only in the report"
    file = tmp_path / "report.json"
    file.write_text(json.dumps(stated))
    assert command("claims", "check", file, "--state", tmp_path).exit_code == 1
    assert isinstance(command("claims", "check", file, "other", "--state", tmp_path).exception, InputError)


@pytest.mark.parametrize(
    "text",
    [
        '{"format": "speedproof/survey/1"}',
        '{"format": "speedproof/audit/1"}',
        '{"format": 5}',
        "{",
        '{"format": "speedproof/survey/1", "title": "cut',
        '{"format": "speedproof/survey/1", "sections": ' + "[" * 100_000,
        "[]",
        "\xff{",
        "{}",
    ],
)
def test_what_is_neither_claims_nor_a_report_is_refused(text: str, state: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    result = command("claims", "check", file, "--state", state)
    assert isinstance(result.exception, InputError), result.output
    assert result.exception.file == str(file)
