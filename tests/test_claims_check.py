"""Claims against attempts: holds, fails, cannot be known; how a figure came to be; contradictions in one document."""

import json
import re
from pathlib import Path

import pytest

from claims_builder import checked, claims_file, command, small_archive
from speedproof.analysis.claims import check_claims, explanation, load_claims
from speedproof.analysis.collection import Collection
from speedproof.errors import InputError

FOUR = "measure: attempts, stated: 4"
PAGE = Path(__file__).parents[1] / "docs" / "claims.md"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("claims")


@pytest.fixture(scope="module")
def collection(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return small_archive(tmp_path_factory.mktemp("archive"), state)


def verdicts(collection: Collection, folder: Path, *claims: str) -> list[str]:
    return [one.verdict for one in checked(collection, folder, *claims).claims]


def contradictions(collection: Collection, folder: Path, *claims: str) -> list[str]:
    """What contradicts, of claims with the ids c0, c1, …"""
    numbered = [f"id: c{number}, {claim}" for number, claim in enumerate(claims)]
    return [one.sentence for one in checked(collection, folder, *numbered).contradictions]


def test_the_example_of_the_page_gives_the_verdicts_that_the_page_tells(
    collection: Collection, state: Path, tmp_path: Path
) -> None:
    page = PAGE.read_text()
    file = tmp_path / "claims.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    checks = check_claims(load_claims(file), collection)
    assert [one.verdict for one in checks.claims] == ["holds", "fails", "fails", "cannot be known"]
    result = command("claims", "check", file, "--state", state)
    assert result.exit_code == 1
    shown = page.partition("```text\n")[2].partition("```")[0]
    assert re.sub(r"\s+", " ", shown).strip() in re.sub(r"\s+", " ", result.stdout)


def test_a_value_within_the_tolerance_holds_and_one_beyond_fails(collection: Collection, tmp_path: Path) -> None:
    assert verdicts(
        collection,
        tmp_path,
        "id: a, measure: recorded_rate, stated: 75",
        "id: b, measure: recorded_rate, stated: 74.4",
        "id: c, measure: recorded_rate, stated: 70, tolerance: 10 %",
        "id: d, measure: recorded_status, where: {attempt: one/item-3}, stated: error",
        "id: e, measure: recorded_status, where: {attempt: one/item-3}, stated: success",
        "id: f, measure: attempts",
    ) == ["holds", "fails", "holds", "holds", "fails", "not stated"]


def test_unknown_attempts_leave_open_only_what_they_could_reach(collection: Collection, tmp_path: Path) -> None:
    """Three attempts have 130, 130 and 50 output tokens; of the fourth they are unknown."""
    claims = ("stated: 310", "stated: 309", "stated: 440", "stated: 441", "stated: 330")
    numbered = [f"id: c{number}, measure: output_tokens, {claim}" for number, claim in enumerate(claims)]
    checks = checked(collection, tmp_path, *numbered)
    assert [c.verdict for c in checks.claims] == ["holds", "fails", "cannot be known", "fails", "cannot be known"]
    open_one = checks.claims[2]
    assert open_one.derived.unknown == ("one/item-3",)
    assert open_one.why == "it is unknown of 1 attempt: the value may lie between 310 tokens and 440 tokens"


def test_what_no_file_tells_cannot_be_known(collection: Collection, tmp_path: Path) -> None:
    checks = checked(
        collection,
        tmp_path,
        "id: a, measure: billed, stated: 1.5",
        'id: b, measure: parallel_tool_calls_configured, stated: "true"',
        "id: c, measure: commit, stated: abc",
    )
    assert [one.verdict for one in checks.claims] == ["cannot be known"] * 3
    assert all(one.why for one in checks.claims)
    assert checks.sound


def test_a_wrong_figure_is_explained_by_the_way_that_gives_it_and_by_none_that_does_not(
    collection: Collection, tmp_path: Path
) -> None:
    checks = checked(
        collection,
        tmp_path,
        "id: a, measure: tool_output_missing_calls, stated: 3, legacy: text_matches",
        "id: b, measure: tool_output_missing_calls, stated: 5, legacy: text_matches",
        "id: c, measure: attempts, where: {run: two}, stated: 3, legacy: {measure: attempts, where: {run: one}}",
    )
    told = [explanation(one) for one in checks.claims]
    assert (
        told[0] == "3 calls is what text_matches gives: a log repeats one failed call in every retry, traceback and box"
    )
    assert told[1] is not None and told[1].startswith(
        "5 calls is not what text_matches gives: that is 3: a log repeats"
    )
    assert told[2] == "3 attempts is what attempts gives over run one"
    assert [one.explained.reproduces for one in checks.claims if one.explained] == [True, False, True]


def test_one_quantity_stated_twice_and_differently_is_a_contradiction(collection: Collection, tmp_path: Path) -> None:
    assert contradictions(
        collection,
        tmp_path,
        "measure: no_patch_rate, stated: 51.7",
        "measure: no_patch_rate, stated: 53.0",
    ) == ["no_patch_rate over all attempts is stated as 51.7 % (c0) and as 53.0 % (c1)"]
    assert not contradictions(
        collection, tmp_path, "measure: no_patch_rate, stated: 51.7", "measure: no_patch_rate, stated: 52"
    )
    (sentence,) = contradictions(
        collection,
        tmp_path,
        "measure: recorded_successes, stated: 3",
        "measure: attempts, where: {recorded_success: true}, stated: 2",
    )
    assert "(c0)" in sentence and "(c1)" in sentence


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        (["measure: attempts, where: {run: one}, stated: 9", FOUR], "more than the whole"),
        (["measure: recorded_successes, stated: 5", FOUR], "more than the whole"),
        (
            ["measure: no_patch, where: {recorded_success: true}, stated: 5", "measure: recorded_successes, stated: 4"],
            "more than the whole",
        ),
        (
            [f"measure: attempts, where: {{run: {run}}}, stated: 3" for run in ("one", "two")]
            + ["measure: attempts, stated: 5"],
            "3 attempts (c0) + 3 attempts (c1) is more than the whole",
        ),
        (
            [f"measure: runs, where: {{run_items: {size}}}, stated: 2" for size in ("1", '"2..9"', '">= 10"')]
            + ["measure: runs, stated: 5"],
            "is more than the whole",
        ),
        (
            ["measure: recorded_successes, stated: 2", "measure: recorded_failures, stated: 1", FOUR],
            "less than the whole, and there is no other part",
        ),
        (
            ["measure: recorded_rate, stated: 60", "measure: recorded_successes, stated: 3", FOUR],
            "is another share",
        ),
        (["measure: wall_shortest, stated: 9", "measure: wall_median, stated: 5"], "never more than wall_median"),
        (["measure: commits_recorded, stated: 9", "measure: commits, stated: 5"], None),
        (
            ["measure: commits_with_several_attempts, stated: 9", "measure: commits, stated: 5"],
            "never more than commits",
        ),
        (
            [f"measure: attempts, where: {{run: {run}}}, stated: 60" for run in ("one", "two")]
            + ['measure: runs, where: {run_items: ">= 50"}, stated: 1'],
            "2 runs are described with 60 attempts (c0) and 60 attempts (c1)",
        ),
    ],
)
def test_what_cannot_be_true_together_is_found(
    claims: list[str], says: str | None, collection: Collection, tmp_path: Path
) -> None:
    found = contradictions(collection, tmp_path, *claims)
    assert (len(found), says in found[0]) == (1, True) if says else not found


def test_what_can_be_true_together_is_no_contradiction(collection: Collection, tmp_path: Path) -> None:
    assert not contradictions(
        collection,
        tmp_path,
        "measure: attempts, stated: 4",
        "measure: attempts, where: {run: one}, stated: 3",
        "measure: attempts, where: {run: two}, stated: 1",
        "measure: attempts, where: {exit_code: 0}, stated: 3",
        "measure: attempts, where: {wall_s: '> 5'}, stated: 3",
        "measure: attempts, where: {wall_s: '> 3'}, stated: 4",
        "measure: recorded_successes, stated: 3",
        "measure: recorded_failures, stated: 1",
        "measure: recorded_rate, stated: 75",
        "measure: runs, stated: 2",
        "measure: runs, where: {run_items: '>= 2'}, stated: 1",
        "measure: runs, where: {run_items: 1}, stated: 1",
        "measure: wall_median, stated: 5",
        "measure: wall_mean, stated: 9",
    )


def test_the_exit_code_says_whether_all_holds(collection: Collection, state: Path, tmp_path: Path) -> None:
    good = claims_file(tmp_path, "id: a, measure: attempts, stated: 4", "id: b, measure: billed, stated: 1")
    assert command("claims", "check", good, "--state", state).exit_code == 0
    assert command("claims", "check", good, "their-runs", "--state", state).exit_code == 0
    bad = claims_file(tmp_path, "id: a, measure: attempts, stated: 5")
    result = command("claims", "check", bad, "--state", state)
    assert result.exit_code == 1
    assert "1 claim: 0 hold, 1 fail, 0 cannot be known, 0 contradictions" in result.stdout
    absent = claims_file(tmp_path, "id: a, measure: attempts", about="\nabout: [nowhere]")
    assert isinstance(command("claims", "check", absent, "--state", state).exception, InputError)
    assert isinstance(command("claims", "check", tmp_path / "absent", "--state", state).exception, InputError)


def test_as_json_and_on_demand_the_attempts_behind_a_value_are_named(
    collection: Collection, state: Path, tmp_path: Path
) -> None:
    file = claims_file(tmp_path, "id: a, measure: output_tokens, where: {run: one}, stated: 180")
    found = json.loads(command("claims", "check", file, "--state", state, "--json").stdout)
    (claim,) = found["claims"]
    assert (found["format"], claim["verdict"]) == ("speedproof/claims/1", "holds")
    assert claim["derived"]["attempts"] == ["one/item-1", "one/item-2"]
    assert claim["derived"]["unknown"] == ["one/item-3"]
    assert "one/item-2" not in command("claims", "check", file, "--state", state).stdout
    shown = command("claims", "check", file, "--state", state, "--verbose").stdout
    assert "counted: one/item-1, one/item-2" in shown and "unknown: one/item-3" in shown


def test_hostile_text_of_a_claims_file_is_inert(collection: Collection, state: Path, tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(
        'document: "a \\e[31mreport"\nclaims:\n'
        '  - {id: a, text: "[bold]x[/] \\e]8;;http://evil\\a", measure: recorded_status, stated: "\\e[2J"}\n'
    )
    shown = command("claims", "check", file, "--state", state).stdout
    assert "\x1b" not in shown and "[bold]x[/]" in shown
