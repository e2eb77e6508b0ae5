"""`speedproof errors`: equal failures stand together, with what they took, what was made up for, and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from archive_builder import NO_OUTPUT, PATCH, QUOTA, imported, journal, put, trajectory, usage
from record_builder import demo_run
from speedproof.analysis.collection import collect
from speedproof.analysis.errors import BY, ErrorGroup, Errors, errors
from speedproof.cli.app import app
from speedproof.errors import InputError
from speedproof.journal import FailureClass as F

DAY = 1_760_437_412.5
MISSING = "Error: Config file not found. Please specify a valid config file in the command\n"
HOSTILE = "Error: \x1b[31mred\x1b[0m <script>alert(1)</script> \u202egnp.exe\n"


def attempt(root: Path, name: str, commit: str, day: float, status: str, code: int, **files: Any) -> None:
    """An attempt of the earlier harness: at this commit, concluded on this day."""
    record = journal(
        status, code, commits={"pre": "b" * 40, "human": commit}, timestamps={"written": DAY + day * 86400}
    )
    put(root / "state" / "runs" / name, journal__json=record, **files)


def failing(error: str, answers: int = 2) -> dict[str, Any]:
    return {"trajectory__json": trajectory(*[usage(1_000, 100, 400)] * answers, error=error), "model_patch__diff": ""}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    one, other = "1" * 40, "2" * 40
    no_output = [
        NO_OUTPUT,
        NO_OUTPUT.replace("call_abc123", "call_zZ9yX8"),
        NO_OUTPUT.replace("call_abc123", "call_7q"),
    ]
    attempt(root, "a-1/x-0001", one, 0, "error", 1, **failing(no_output[0]))
    attempt(root, "a-1/x-0002", other, 0, "error", 1, **failing(no_output[1], answers=4))
    attempt(root, "b-2/x-0001", one, 1, "success", 1, **{**failing(no_output[2]), "model_patch__diff": PATCH})
    attempt(root, "c-3/x-0001", one, 2, "error", 1, trae_stdout__txt=MISSING, model_patch__diff="")
    attempt(root, "c-3/x-0002", other, 2, "error", 1, **failing(QUOTA))
    attempt(
        root, "d-4/x-0001", one, 3, "success", 0,
        trajectory__json=trajectory(usage(1_000, 100)), model_patch__diff=PATCH,
    )  # fmt: skip
    attempt(root, "d-4/x-0002", other, 3, "error", 0, trajectory__json=trajectory(usage(9, 9)), model_patch__diff="")
    imported(root, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def found(state: Path) -> Errors:
    return errors(collect((), state))


def named(groups: tuple[ErrorGroup, ...], name: str) -> ErrorGroup:
    return next(group for group in groups if group.name == name)


def test_equal_failures_are_one_group_whatever_their_particulars(found: Errors) -> None:
    group = named(found.groups, "agent/protocol/tool_output_missing")
    assert group.attempts == ("a-1/x-0001", "a-1/x-0002", "b-2/x-0001")
    assert (group.items, group.commits, group.runs) == (3, 2, 2)
    (one,) = group.groups
    assert one.by == "fingerprint" and one.attempts == group.attempts
    assert one.name == "agent/protocol/tool_output_missing: no tool output found for function call #."
    assert (group.fault, group.transient, group.failure) == ("agent", False, F.TOOL_OUTPUT_MISSING)
    assert group.first is not None and group.last is not None and (group.last - group.first).days == 1


def test_what_a_group_took_is_summed_and_the_unknown_counted(found: Errors) -> None:
    lost = named(found.groups, "agent/protocol/tool_output_missing").lost
    assert (lost.usage.uncached_input, lost.usage.cache_read, lost.usage.output) == (4_800, 3_200, 800)
    assert (lost.steps, lost.steps_unknown, lost.wall_s, lost.usage_unknown, lost.cost_unknown) == (11, 0, 301.5, 0, 0)
    assert lost.cost_usd is not None and 0.01 < lost.cost_usd < 0.03
    silent = named(found.groups, "infrastructure/harness/config_missing").lost
    assert (silent.cost_usd, silent.cost_unknown, silent.usage.total, silent.steps, silent.steps_unknown) == (
        None,
        1,
        None,
        None,
        1,
    )


def test_a_failure_is_made_up_for_by_a_later_success_at_the_same_commit(found: Errors) -> None:
    later = named(found.groups, "agent/protocol/tool_output_missing").made_up
    assert later.recorded == ("a-1/x-0001", "b-2/x-0001")  # the last one by the success of day 3
    assert later.exit_and_patch == later.confirmed == ("a-1/x-0001", "b-2/x-0001")
    assert named(found.groups, "model/quota/exhausted").made_up.recorded == ()
    called = named(found.groups, "agent/protocol/tool_output_missing").recorded_success
    assert called == ("b-2/x-0001",)


def test_the_example_names_a_file_of_the_archive_that_says_so(found: Errors, tmp_path: Path) -> None:
    for group in found.groups:
        place = group.example.evidence[0]
        lines = (tmp_path / "archive" / place.file).read_text().split("\n")
        assert place.line is not None and place.excerpt and place.excerpt[:20] in lines[place.line - 1]


def test_calls_are_counted_as_calls_and_not_as_mentions(tmp_path: Path) -> None:
    log = "".join(f"OpenAI API call failed: {NO_OUTPUT} Will sleep for {n} seconds\n" for n in range(10))
    files = failing(NO_OUTPUT) | {"model_patch__diff": PATCH}
    attempt(tmp_path / "archive", "a-1/x-0001", "1" * 40, 0, "success", 1, **files, trae_stdout__txt=log)
    imported(tmp_path / "archive", tmp_path / "state")
    (calls,) = errors(collect((), tmp_path / "state")).calls
    assert (calls.failure, calls.calls) == (F.TOOL_OUTPUT_MISSING, 1)
    assert calls.mentions >= 10
    assert calls.recorded_success == ("a-1/x-0001",) and calls.recorded_success_calls == 1
    assert calls.ended == ("a-1/x-0001",) and calls.completed == ()


def test_an_attempt_that_completed_and_is_recorded_as_a_failure_is_told_apart(found: Errors) -> None:
    (group,) = found.completed
    assert (group.failure, group.attempts) == (F.NO_PATCH, ("d-4/x-0002",))
    assert all("d-4/x-0002" not in other.attempts for other in found.groups)


def test_recorded_failures_without_a_text_are_counted_with_the_causes_found(found: Errors) -> None:
    told = found.recorded_failures
    assert len(told.attempts) == len(told.without_text) == 5
    assert told.causes == {"direct": 5, "inferred": 0, "weak": 0} and told.no_cause == ()


@pytest.mark.parametrize("by", BY)
def test_every_failed_attempt_is_in_exactly_one_group_whatever_groups_are_by(by: Any, state: Path) -> None:
    found = errors(collect((), state), by)
    names = [name for group in found.groups for name in group.attempts]
    assert sorted(names) == sorted(set(names)) and len(names) == 5
    for group in found.groups:
        inner = [name for one in group.groups for name in one.attempts]
        assert sorted(inner) == (sorted(group.attempts) if by != "fingerprint" else [])


def test_the_group_that_hurt_most_comes_first(found: Errors) -> None:
    assert found.groups[0].name == "agent/protocol/tool_output_missing"


def test_a_foreign_harness_is_not_called_a_bug_of_ours(found: Errors) -> None:
    assert all("Speedproof" not in step for group in found.groups for step in group.next)
    assert all(group.next for group in found.groups)


def test_the_record_can_be_read_back(found: Errors) -> None:
    assert Errors.model_validate_json(found.model_dump_json()) == found
    assert json.loads(found.model_dump_json())["by"] == "class"


def command(*words: object) -> Result:
    return CliRunner().invoke(app, ["errors", *map(str, words)])


def test_the_command_shows_groups_with_cost_place_and_what_to_do(state: Path) -> None:
    shown = command("--state", state)
    assert shown.exit_code == 0, shown.output
    for words in (
        "7 attempts of 1 archive or run: 5 ended by a failure",
        "5 recorded as failures, 5 without an error text: a cause was found for 5 (5 direct)",
        "3 × agent/protocol/tool_output_missing",
        "solved by a later attempt: 2 as recorded, 2 with exit code 0 and a patch, 2 confirmed",
        "next: Put the named file where that harness looks for it.",
        "state/runs/c-3/x-0001/trae_stdout.txt:1: Error: Config file not found.",
        "Failed model calls",
    ):
        assert words in shown.output, words


def test_the_command_prints_the_same_as_json(state: Path, found: Errors) -> None:
    assert Errors.model_validate_json(command("--state", state, "--json").output) == found
    by_run = json.loads(command("--state", state, "--json", "--by", "run").output)
    assert {group["name"] for group in by_run["groups"]} == {"a-1", "b-2", "c-3"}


def test_a_limit_shortens_what_is_shown_and_says_so(state: Path) -> None:
    shown = command("--state", state, "--limit", "1").output
    assert "and 2 more: --limit, --json" in shown and "quota" not in shown.split("Failed model calls")[0]


def test_nothing_to_look_at_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    assert isinstance(command("--state", tmp_path).exception, InputError)


def test_what_a_stranger_wrote_is_shown_inert(tmp_path: Path) -> None:
    attempt(tmp_path / "archive", "a-1/[bold]x\x1b[31m", "1" * 40, 0, "error", 1, trae_stdout__txt=HOSTILE)
    imported(tmp_path / "archive", tmp_path / "state")
    for by in BY:
        shown = command("--state", tmp_path / "state", "--by", by).output
        assert "\x1b" not in shown and "\u202e" not in shown
    assert "[bold]x" in shown or "a-1" in shown


def test_failures_of_our_own_runs_are_grouped_too(tmp_path: Path) -> None:
    demo_run(tmp_path)
    found = errors(collect((), tmp_path))
    quota = named(found.groups, "model/quota/exhausted")
    assert quota.next == (F.QUOTA_EXHAUSTED.info.next,)
    assert all("/" in place.file for place in quota.example.evidence)
    assert sum(group.calls for group in found.calls) + found.unlisted_calls == 4
