"""Our own attempts come out as an archive's would: claims, patch, prompt, budget, failed calls, commits."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archive_builder import PATCH
from record_builder import CLAIMS_ONLY, GENUINE, QUOTA, build, plan
from speedproof.archives.own import own_attempts
from speedproof.journal import FailureClass as F
from speedproof.journal import RunStore
from speedproof.journal.foreign import ForeignAttempt
from speedproof.tasks.suite import load_suite

MODEL = "openai/gpt-5"
EXPERT, BASE = "c" * 40, "d" * 40


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    kinds = [GENUINE, replace(CLAIMS_ONLY, claims=False), QUOTA]
    return build(tmp_path / "own", [(plan(f"task-{n}", "codex", MODEL), [kind]) for n, kind in enumerate(kinds)])


def change(run: RunStore, number: int, **more: Any) -> Path:
    """Change fields of the record of one attempt; its folder."""
    folder = list(run.attempts())[number].folder
    value = json.loads((folder / "attempt.json").read_text())
    (folder / "attempt.json").write_text(json.dumps(value | more))
    return folder


def found(run: RunStore) -> list[ForeignAttempt]:
    return list(own_attempts(run, []))


def test_what_our_agents_claim_is_what_is_recorded(run: RunStore) -> None:
    good, gave_up, silent = found(run)
    assert (good.recorded.status, good.recorded.success) == ("success", True)
    assert (gave_up.recorded.status, gave_up.recorded.success) == ("error", False)
    assert (silent.recorded.status, silent.recorded.success) == (None, None)
    assert good.recorded.exit_code == 0 and good.recorded.written is not None


def test_the_patch_of_an_own_attempt_is_read_as_any_other(run: RunStore) -> None:
    good, empty, _ = found(run)
    assert good.patch is not None and empty.patch is not None
    data = (next(iter(run.attempts())).folder / "patch.diff").read_bytes()
    assert (good.patch.size, good.patch.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert good.patch.hunks == 1 and good.patch.added > 0
    assert (empty.patch.size, empty.patch_status) == (0, "empty")


def test_failed_calls_and_retries_of_an_own_attempt_are_told(run: RunStore) -> None:
    good, _, failed = found(run)
    assert (good.failed, good.failed_calls, good.retries) == (0, (), 0)
    assert [call.failure for call in failed.failed_calls] == [F.QUOTA_EXHAUSTED] * 3
    assert failed.failed == 3 and all(call.evidence.line for call in failed.failed_calls)
    calls = next(iter(run.attempts())).folder / "calls.jsonl"
    again = '"retries":[{"at":"2025-06-01T09:00:00Z","status":500,"error":"x","waited_s":1.0}]'
    calls.write_text(calls.read_text().replace('"retries":[]', again, 2))
    assert found(run)[0].retries == 2


def test_budget_cost_prompt_and_settings_of_an_own_attempt_are_told(run: RunStore) -> None:
    outcome = {"finished": True, "claims_success": True, "cost_usd": 0.25}
    limits = {"limits": {"wall_s": 1800}}
    folder = change(run, 0, outcome=outcome, settings=limits)
    prompt = f"Make it fast.\n{PATCH}"
    (folder / "prompt.md").write_text(prompt)
    (folder / "patch.diff").write_text(PATCH)
    one, other, _ = found(run)
    assert (one.billed_usd, one.budget_s) == (0.25, 1800)
    assert (one.prompt_file, one.prompt_chars) == ("prompt.md", len(prompt))
    assert one.prompt_sha256 == hashlib.sha256(prompt.encode()).hexdigest()
    assert [shown.what for shown in one.expert_shown] == ["diff"]
    assert one.lines_as_shown == 2
    assert one.config_sha256 is not None and one.config_sha256 != other.config_sha256


def test_the_commits_of_an_own_attempt_are_those_of_its_suite_as_it_was(run: RunStore, tmp_path: Path) -> None:
    assert {(each.commit, each.pre, each.repository) for each in found(run)} == {(None, None, None)}
    suite = tmp_path / "suite.yaml"
    task = (
        "  - name: task-{n}\n    instructions: Faster.\n    source: {{git: https://host/team/lib.git, "
        "expert: {expert}, base: {base}}}\n"
    )
    suite.write_text(
        "name: s\ntasks:\n"
        + task.format(n=0, expert=EXPERT, base=BASE)
        + task.format(n=1, expert="v1.0", base="main")
        + task.format(n=2, expert=EXPERT, base=BASE)
    )
    loaded = load_suite(suite)
    path = run.folder / "run.json"
    manifest = json.loads(path.read_text()) | {"suite_file": str(suite)}
    for item in manifest["items"][:2]:  # the third task is another by now
        item["task_digest"] = loaded.task_digest(loaded.task(item["task"]))
    path.write_text(json.dumps(manifest))
    assert [(each.commit, each.pre, each.repository) for each in found(run)] == [
        (EXPERT, BASE, "lib"),
        (None, None, "lib"),
        (None, None, None),
    ]


def test_a_prompt_that_is_not_the_one_that_was_given_is_not_taken_for_it(run: RunStore) -> None:
    digest = "0" * 64
    change(run, 0, prompt_sha256=digest)
    one = found(run)[0]
    assert (one.prompt_sha256, one.prompt_file, one.prompt_chars) == (digest, None, None)
