"""The figures of two real archives, item by item. Nothing of them is in the repository: skipped where they are not."""

import json
import re
import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from archive_builder import attempts, imported
from speedproof.archives.export import export_archive
from speedproof.archives.store import archives
from speedproof.diagnosis.facts import excerpt
from speedproof.journal import FailureClass as F
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import UsageSource

SHARED = Path(__file__).parents[2] / "shared" / "archives"
SAMPLE, THIRTY = SHARED / "sample", SHARED / "thirty-runs"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir() or not THIRTY.is_dir(), reason="the real archives are not here")

CLASSES: dict[str | None, set[F]] = {
    "agent_list_index": {F.AGENT_CRASH},
    "agent_max_steps": {F.LIMIT_STEPS},
    "agent_reported_error": {F.DISK_FULL},  # its words are "ENOSPC: no space left on device"
    "env_broken_pipe": {F.INTERRUPTED},
    "env_import_error": {F.AGENT_IMPORT_ERROR},
    "env_missing_file": {F.AGENT_NOT_FOUND},
    "env_permission_denied": {F.PERMISSION_DENIED},
    "finished_uncommitted": {F.DEFECT},
    "harness_bad_config": {F.CONFIG_INVALID},
    "harness_cli_usage": {F.CONFIG_INVALID},
    "harness_config_missing": {F.CONFIG_MISSING},
    "harness_exception": {F.DEFECT},
    "killed_signal": {F.KILLED},
    "llm_auth_bad_key": {F.BAD_KEY},
    "llm_auth_bad_profile": {F.CONFIG_INVALID},
    "llm_auth_sso_expired": {F.LOGIN_EXPIRED},
    "llm_bad_request": {F.BAD_REQUEST},
    "llm_empty_tool_result": {F.EMPTY_TOOL_RESULT},
    "llm_malformed_tool_args": {F.TOOL_ARGS_MALFORMED},
    "llm_missing_tool_output": {F.TOOL_OUTPUT_MISSING},
    "llm_tool_use_without_result": {F.TOOL_OUTPUT_MISSING},
    "llm_quota_exhausted": {F.QUOTA_EXHAUSTED},
    "llm_usage_limit": {F.USAGE_LIMIT},
    "network": {F.NETWORK},
    "no_output_no_change": {F.NO_PATCH},
    "startup_traceback_other": {F.AGENT_CRASH},
    "user_interrupt": {F.INTERRUPTED},
    # no cause is given for folders that tell no end, and for recorded successes: ours name what they lack
    None: {F.INTERRUPTED, F.NO_PATCH},
}
SOURCES = {"agent_result": "claude_json_modelUsage", "total_only": "codex_total_only"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="module")
def sample(state: Path) -> dict[str, ForeignAttempt]:
    return {attempt.folder: attempt for attempt in attempts(SAMPLE, state)}


@pytest.fixture(scope="module")
def thirty(state: Path) -> list[ForeignAttempt]:
    return attempts(THIRTY, state)


@pytest.fixture(scope="module")
def items(sample: dict[str, ForeignAttempt]) -> list[tuple[dict[str, Any], ForeignAttempt]]:
    """What is expected of each folder that is there, beside what was read. Four that are listed are not delivered."""
    listed = json.loads((SAMPLE / "expected.json").read_text())["items"]
    pairs = [(item, item["path"].removeprefix("ISO-Bench/")) for item in listed]
    missing = [path for _, path in pairs if not (SAMPLE / path).is_dir()]
    assert len(missing) == 4 and all("hf_trajectories" in path for path in missing)
    return [(item, sample[path]) for item, path in pairs if path in sample]


def test_every_folder_of_the_sample_is_an_attempt(items: list[Any], sample: dict[str, ForeignAttempt]) -> None:
    assert len(items) == len(sample) == 79
    assert Counter(a.journal for a in sample.values()) == {True: 71, False: 8}
    assert sum(a.duplicate_of is not None for a in sample.values()) == 2


def test_what_the_sample_records_is_kept(items: list[Any]) -> None:
    for item, a in items:
        r = a.recorded
        assert (a.journal, r.status, r.exit_code, r.wall_s, r.written, r.error, r.error_type) == (
            item["journal"],
            item["status"],
            item["returncode"],
            item["duration_s"],
            item["written"],
            item["error"],
            item["error_type"],
        ), a.folder
        if item["journal"]:
            assert a.commit == item["commit"]


def test_patches_of_the_sample_are_read(items: list[Any]) -> None:
    for item, a in items:
        size = None if a.patch is None else a.patch.size
        assert size == item["patch_bytes"], a.folder
        if a.patch is not None:
            assert sorted(a.patch.files) == item["patch_files"], a.folder
            assert (a.patch.added, a.patch.removed) == (item["lines_added"], item["lines_removed"])
            assert a.patch.own_file == ("has_model_patch" in item["patch_flags"])
        assert (a.exit_and_patch and a.recorded.success is True) == item["strict_success"]


def test_steps_tokens_and_repetitions_of_the_sample_are_counted(items: list[Any]) -> None:
    for item, a in items:
        best: UsageSource | None = a.usages[0] if a.usages else None
        assert SOURCES.get(a.usage_source, a.usage_source) == item["tokens_source"], a.folder
        if item["tokens_in"] is not None:
            assert best is not None
            told = (best.input, a.usage.output, a.usage.cache_read or 0)
            assert told == (item["tokens_in"], item["tokens_out"], item["tokens_cache_read"]), a.folder
        assert (best.total if best else None) == item["codex_tokens_used"]
        assert a.billed_usd == item["claude_cost_usd"]
        if item["steps"] is not None:
            assert a.steps == item["steps"]
        legacy = a.legacy
        assert (legacy.greatest_step or 0, legacy.step_as_text or 0) == (
            item["max_step_stdout_int"],
            item["legacy_max_step_lexicographic"],
        )
        first = None if legacy.first_input is None else [legacy.first_input, legacy.first_output]
        assert first == item["legacy_tokens_first_step"]
        assert (legacy.no_tool_output_matches, legacy.retry_lines) == (
            item["no_tool_output_matches"],
            item["retry_lines"],
        )
        named = [c for c in a.failed_calls if (c.call_id or "").startswith("call_")]
        assert len(named) == item["no_tool_output_distinct_calls"]


def test_the_real_agent_and_model_are_told_from_evidence(items: list[Any]) -> None:
    for item, a in items:
        if item["traj_model"]:
            assert (a.agent.value, a.agent.confidence, a.model_asked) == ("trae", "direct", item["traj_model"])
        if item["codex_model"]:
            assert (a.agent.value, a.model.value) == ("codex", item["codex_model"])
    wrong = [a.folder for _, a in items if a.agent.contradicted]
    assert len(wrong) == 2 and all("/codex/gpt-4o/" in folder for folder in wrong)  # TRAE ran there
    assert sum("prediction.jsonl:[0].model_name_or_path" in a.model.contradicted for _, a in items) >= 20
    assert any(a.repository == "sglan" for _, a in items)


def test_causes_in_the_sample_are_of_the_same_class_and_none_is_missing(items: list[Any]) -> None:
    agreed = [
        (item["cause"] is None or a.diagnosis is not None)
        and (a.diagnosis is None or a.diagnosis.failure in CLASSES[item["cause"]])
        for item, a in items
    ]
    assert sum(agreed) == len(agreed)
    assert all(a.diagnosis is not None for item, a in items if item["status"] != "success")


def test_what_else_is_expected_of_each_attempt_of_the_sample_is_met(items: list[Any]) -> None:
    others = []
    for item, a in items:
        assert (a.item, a.run.rpartition("/")[2]) == (item["item"], item["run"]), a.folder
        assert a.repository in (item["repo"], None), a.folder
        if item["traj_success"] is not None:
            assert a.outcome is not None and a.outcome.finished == item["traj_success"], a.folder
        if item["tokens_cache_creation"] is not None:
            assert a.usage.cache_write == item["tokens_cache_creation"], a.folder
        if a.patch is not None:
            flags = set(item["patch_flags"])
            assert bool(a.patch.tests) == ("touches_tests" in flags), a.folder
            assert (a.patch.size > 0 and a.patch.hunks == 0) == ("no_hunks" in flags), a.folder
            whole = bool(a.patch.files) and set(a.patch.files) == set(a.patch.new_files)
            assert whole == ("new_only" in flags), a.folder
            assert not flags & {"comment_only", "only_junk"} or a.patch_status == "no_effect", a.folder
        if (a.confirmed and a.recorded.success is True) != item["strict_success_agent"]:
            others.append((a.item, a.patch_status, bool(a.usages)))
        if item["cause"] is not None:
            assert a.diagnosis is not None
            sure = a.diagnosis.confidence == item["cause_confidence"]
            # its exception stands in the line that is shown: TypeError: ModelConfig.__init__() …
            assert sure or "unexpected keyword" in a.diagnosis.message, a.folder
    # two of these patches hold comments or their own file only, and of the third nobody knows that a model answered
    assert sorted(others) == [
        ("chunked_local_attn_opt-0000", "present", False),
        ("vllm_core-0003", "no_effect", True),
        ("vllm_gpt5_v5-0029", "no_effect", True),
    ]


def test_the_words_of_expected_causes_stand_in_the_diagnoses_of_the_sample(items: list[Any]) -> None:
    def plain(text: str) -> str:
        return re.sub(r"\W|_", "", re.sub(r"sk-[\w*-]+|\[redacted\]", "", text)).lower()

    worded = [(item["cause_evidence"], a.diagnosis) for item, a in items if item["cause_evidence"]]
    other = [
        words
        for words, d in worded
        if d is None or plain(words)[:40] not in plain(" ".join([d.message, *(place.excerpt for place in d.evidence)]))
    ]
    # three are no quotations but sums of fields; of two torn tracebacks another frame is shown
    assert (len(worded), len(other)) == (62, 5), other


def test_every_aggregate_of_the_sample_is_met(items: list[Any]) -> None:
    expected = json.loads((SAMPLE / "expected.json").read_text())
    here = {item["path"] for item, _ in items}
    gone = [item for item in expected["items"] if item["path"] not in here]  # listed, and not delivered
    assert len(gone) == 4 and not any(item["journal"] and item["status"] is None for item in gone)
    ours = [a for _, a in items if a.journal]
    theirs = [item for item in gone if item["journal"]]

    def counts(mine: Iterable[object], listed: Iterable[object]) -> dict[str, int]:
        return dict(Counter(map(str, (*mine, *listed))))

    known = [a.recorded.wall_s for a in ours if a.recorded.wall_s is not None]
    known += [item["duration_s"] for item in theirs if item["duration_s"] is not None]
    silent = [a for a in ours if a.recorded.success is False and a.recorded.error is None]
    good = [a for a in ours if a.recorded.success is True]
    fine = [item for item in theirs if item["status"] == "success"]
    sources: dict[str, list[int]] = {}
    for a in ours:
        name = SOURCES.get(a.usage_source, a.usage_source)
        best = a.usages[0] if a.usages else None
        told = (1, (best.input if best else 0) or 0, a.usage.output or 0, a.usage.cache_read or 0)
        sources[name] = [x + y for x, y in zip(sources.get(name, [0] * 4), told, strict=True)]
    for item in theirs:
        told = (1, item["tokens_in"] or 0, item["tokens_out"] or 0, item["tokens_cache_read"] or 0)
        name = item["tokens_source"]
        sources[name] = [x + y for x, y in zip(sources.get(name, [0] * 4), told, strict=True)]
    found = {
        "item_dirs": len(items) + len(gone),
        "attempts_with_valid_journal": len(ours) + len(theirs),
        "status": counts((a.recorded.status for a in ours), (i["status"] for i in theirs)),
        "returncode": counts((a.recorded.exit_code for a in ours), (i["returncode"] for i in theirs)),
        "strict_success": sum(a.exit_and_patch for a in good) + sum(i["strict_success"] for i in fine),
        "success_rc_nonzero": sum(bool(a.recorded.exit_code) for a in good) + sum(bool(i["returncode"]) for i in fine),
        "success_empty_patch": sum(a.patch_status == "empty" for a in good) + sum(i["patch_bytes"] == 0 for i in fine),
        "nonsuccess_with_null_error_field": len(silent)
        + sum(i["error"] is None for i in theirs if i["status"] != "success"),
        "patch_missing": sum(a.patch is None for a in ours) + sum(i["patch_bytes"] is None for i in theirs),
        "patch_empty": sum(a.patch_status == "empty" for a in ours) + sum(i["patch_bytes"] == 0 for i in theirs),
        "lines_added": sum(a.patch.added for a in ours if a.patch) + sum(i["lines_added"] or 0 for i in theirs),
        "lines_removed": sum(a.patch.removed for a in ours if a.patch) + sum(i["lines_removed"] or 0 for i in theirs),
        "distinct_commits": len({a.commit for a in ours} | {i["commit"] for i in theirs}),
        "claude_cost_usd": pytest.approx(sum(a.billed_usd or 0 for a in ours)),
        "tokens_by_source": {
            name: dict(zip(("attempts", "in", "out", "cache_read"), told, strict=True))
            for name, told in sources.items()
        },
    }
    assert found == {name: expected["aggregate"][name] for name in found}
    long = expected["aggregate"]["duration"]
    assert [len(known), sum(known), min(known), max(known), statistics.median(known), sum(s < 5 for s in known)] == (
        pytest.approx([long[name] for name in ("n", "sum", "min", "max", "median", "lt5s")])
    )
    assert all(a.diagnosis is not None for a in silent)


def test_evidence_in_the_sample_stands_where_it_is_said_to(items: list[Any]) -> None:
    check_evidence(SAMPLE, (a for _, a in items))


def check_evidence(root: Path, found: Iterable[ForeignAttempt]) -> None:
    for a in found:
        for place in a.diagnosis.evidence if a.diagnosis else ():
            file = root / a.folder / place.file
            assert file.is_file()
            if place.line is not None:
                line = file.read_text(errors="replace").split("\n")[place.line - 1]
                assert place.excerpt[:60] in line or place.excerpt[:60] in excerpt(line, 8_000), (a.folder, place)
        assert a.diagnosis is None or a.diagnosis.evidence, a.folder


def test_the_sample_exported_and_imported_again_gives_the_same_records(
    sample: dict[str, ForeignAttempt], state: Path, tmp_path: Path
) -> None:
    store = next(s for s in archives(state) if s.id.startswith("sample"))
    assert export_archive(store, tmp_path / "copy") == 79
    again = {(a.run, a.folder.rpartition("/")[2]): a for a in attempts(tmp_path / "copy", tmp_path / "state")}
    of_place = {"id", "archive", "folder", "duplicate_of"}
    for a in sample.values():
        other = again[a.run, a.folder.rpartition("/")[2]]
        assert other.model_dump(exclude=of_place) == a.model_dump(exclude=of_place)


def test_a_second_import_of_the_sample_changes_nothing(sample: dict[str, ForeignAttempt], state: Path) -> None:
    assert imported(SAMPLE, state).read == 0


def source(a: ForeignAttempt, name: str) -> UsageSource | None:
    return next((each for each in a.usages if each.source == name), None)


def spread(seconds: list[float]) -> list[float]:
    return [statistics.fmean(seconds), statistics.median(seconds), min(seconds), max(seconds), len(seconds)]


def test_every_aggregate_of_the_thirty_runs_is_met(thirty: list[ForeignAttempt]) -> None:
    expected = json.loads((THIRTY / "expected.json").read_text())
    good = [a for a in thirty if a.recorded.success]
    bad = [a for a in thirty if a.recorded.success is False]
    timed = [a for a in thirty if a.recorded.wall_s is not None]

    def seconds(chosen: list[ForeignAttempt]) -> list[float]:
        return spread([a.recorded.wall_s for a in chosen if a.recorded.wall_s is not None])

    for name, chosen in (("dur", thirty), ("dur_success", good), ("dur_error", bad)):
        assert seconds(chosen) == pytest.approx(expected[name])
    missed = [a for a in thirty if any(c.failure is F.TOOL_OUTPUT_MISSING for c in a.failed_calls)]
    totals = [t for a in thirty if (t := source(a, "last_cumulative_line"))]
    answers = [t for a in thirty if (t := source(a, "trajectory"))]
    runs: dict[str, list[ForeignAttempt]] = {}
    commits: dict[str | None, list[ForeignAttempt]] = {}
    for a in sorted(thirty, key=lambda a: a.recorded.written or 0):
        runs.setdefault(a.run, []).append(a)
        commits.setdefault(a.commit, []).append(a)
    agreed = [a for a in good if a.exit_and_patch and a.outcome and a.outcome.claims_success]
    found = {
        "attempts": len(thirty),
        "runs": len(runs),
        "commits": len(commits),
        "success": len(good),
        "error": len(bad),
        "patch_files": sum(a.patch is not None for a in thirty),
        "patch_missing": sum(a.patch_status == "missing" for a in thirty),
        "patch_file_present_and_empty": sum(a.patch_status == "empty" for a in thirty),
        "nonempty": sum(a.patch is not None and a.patch.size > 0 for a in thirty),
        "rc": dict(Counter(str(a.recorded.exit_code) for a in thirty)),
        "rc_by_status": dict(Counter(f"{a.recorded.status}|{a.recorded.exit_code}" for a in thirty)),
        "null_error_of_errors": sum(a.recorded.error is None for a in bad),
        "commits_multi": sum(len(each) > 1 for each in commits.values()),
        "commits_any_success": sum(any(a.recorded.success for a in each) for each in commits.values()),
        "commits_latest_attempt_success": sum(bool(each[-1].recorded.success) for each in commits.values()),
        "strict_success(rc0+patch)": sum(a.exit_and_patch for a in good),
        "strict+traj_success": len(agreed),
        "success_rc_nonzero": sum(a.recorded.exit_code != 0 for a in good),
        "error_nonempty_patch": sum(a.patch is not None and a.patch.size > 0 for a in bad),
        "legacy_tokens_first_line": [
            sum(a.legacy.first_input or 0 for a in thirty),
            sum(a.legacy.first_output or 0 for a in thirty),
        ],
        "n_tokens": len(totals),
        "tokens_last_cumulative_stdout": [
            sum(t.input or 0 for t in totals),
            sum(t.usage.output or 0 for t in totals),
        ],
        "tokens_trajectory": [
            sum(t.input or 0 for t in answers),
            sum(t.usage.output or 0 for t in answers),
            sum(t.usage.cache_read or 0 for t in answers),
            len(answers),
        ],
        "gpt5_matches": sum(a.legacy.no_tool_output_matches for a in thirty),
        "gpt5_attempts": len(missed),
        "gpt5_distinct_calls": sum(c.failure is F.TOOL_OUTPUT_MISSING for a in thirty for c in a.failed_calls),
        "gpt5_by_status": dict(Counter(a.recorded.status for a in missed)),
        "gpt5_by_model": dict(Counter(a.model_asked for a in missed)),
        "runs_affected": len({a.run for a in missed}),
        "runs_with_success": sum(any(a.recorded.success for a in each) for each in runs.values()),
        "max_step_lex9_with_true>9": sum(
            a.legacy.step_as_text == 9 and (a.legacy.greatest_step or 0) > 9 for a in thirty
        ),
        "dur_lt5": sum((a.recorded.wall_s or 0) < 5 for a in timed),
    }
    assert found == {name: expected[name] for name in found}
    assert sum(a.exit_and_patch for a in thirty) == 74
    assert sum(a.confirmed for a in thirty) == 36
    assert sum(a.model.confidence == "none" for a in thirty) == 114
    assert sum(c.mentions for a in thirty for c in a.failed_calls if c.failure is F.TOOL_OUTPUT_MISSING) == 1741
    assert [t.impossible for t in answers if t.impossible] == [
        ("llm_interactions[43]: 46720 cached of 23429 input tokens",)
    ]
    assert sum(a.clock.offset_s is not None for a in thirty) == 186
    check_evidence(THIRTY, thirty)


def test_a_cause_stands_in_the_logs_of_every_error_of_the_thirty_runs(thirty: list[ForeignAttempt]) -> None:
    expected: dict[str, int] = json.loads((THIRTY / "expected.json").read_text())["cause_error_status"]
    silent = [a for a in thirty if a.recorded.success is False and a.recorded.error is None]
    assert Counter(a.diagnosis.confidence for a in silent if a.diagnosis) == {"direct": 129, "inferred": 33}
    found = Counter(a.diagnosis.failure for a in thirty if a.recorded.success is False and a.diagnosis)
    wanted: Counter[F] = Counter()
    for name, count in expected.items():
        wanted[next(iter(CLASSES[name]))] += count
    # One torn traceback ends in an import, like those whose exception is whole; the expected file calls it "other".
    wanted[F.AGENT_IMPORT_ERROR] += 1
    wanted[F.AGENT_CRASH] -= 1
    assert found == wanted


def test_what_the_published_analysis_says_of_settings_is_found(thirty: list[ForeignAttempt], state: Path) -> None:
    store = next(s for s in archives(state) if s.id.startswith("thirty"))
    claimed = [s for s in store.settings() if s.how == "claimed" and s.file == "published/analysis.md"]
    assert {(s.key, s.line, s.value, s.denied) for s in claimed} == {
        ("parallel_tool_calls", 24, None, True),
        ("parallel_tool_calls", 432, "true", False),
        ("parallel_tool_calls", 530, None, False),
        ("parallel_tool_calls", 538, "true", False),
        ("parallel_tool_calls", 539, "false", False),
        ("parallel_tool_calls", 611, None, True),
    }
    # no file of the archive configures or sends it: what was in force cannot be known
    assert {s.key for s in store.settings() if s.how == "sent"} == {"provider", "model", "max_steps"}
    assert not [s for s in store.settings() if s.how == "configured" and s.key == "parallel_tool_calls"]


def test_the_wording_of_prompts_is_told_apart_from_their_tasks(
    sample: dict[str, ForeignAttempt], thirty: list[ForeignAttempt]
) -> None:
    told = [a for a in sample.values() if a.prompt_file == "task.txt"]
    assert (len(told), len({a.prompt_sha256 for a in told})) == (78, 57)
    most = Counter(a.prompt_template_sha256 for a in told).most_common(2)
    assert [count for _, count in most] == [45, 18]
    # the two wordings of nearly all: with the expert's message and diffstat, and without
    hinted = {a.prompt_template_sha256 for a in told if any(s.what == "diffstat" for s in a.expert_shown)}
    assert most[0][0] in hinted and most[1][0] not in hinted
    assert {a.prompt_file for a in thirty} == {"prompt.json"}
    assert len({a.prompt_template_sha256 for a in thirty}) == 1
