"""Each rule of the audit finds what it is there for, and is silent where that is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, PRE, QUOTA, WRITTEN, imported, put, trajectory, usage
from audit_builder import DAY, ITEM, METRICS, OTHER_PATCH, RUN, answered, attempt, audited, journal, later, untimed
from speedproof.analysis.audit import RULES, Finding, audit
from speedproof.analysis.audit.settings import RULES as SETTING_RULES
from speedproof.analysis.collection import collect
from speedproof.errors import InputError

OTHER = "c" * 40
STAT = "the expert's change:\n src/core.py | 4 ++--\n 1 file changed, 2 insertions(+), 2 deletions(-)\n"
TRACEBACK = 'Traceback (most recent call last):\n  File "cli.py", line 3, in main\nTypeError: no such argument\n'
KEY = "sk-" + "proj1234abcd5678efgh9012"
"""Looks like a key, and is none."""
Make = Callable[[Path], object]


def patch_of(path: str, *, base: str = "") -> str:
    return base + PATCH.replace("src/core.py", path)


def with_metrics(**changed: Any) -> dict[str, Any]:
    return journal(metrics=METRICS | changed)


def broke(root: Path, **more: Any) -> None:
    """An attempt that fell over at once, and has a patch all the same."""
    given = {"journal__json": journal(code=1, wall=1.57), "trajectory__json": None, "trae_stdout__txt": ""}
    attempt(root, **(given | {"trae_stderr__txt": TRACEBACK} | more))


def twice_the_patch(root: Path, **second: Any) -> None:
    attempt(root)
    attempt(root, run="b-run-5e6f7a8b", **({"journal__json": later(), "trajectory__json": untimed()} | second))


def of_other_commit() -> dict[str, Any]:
    return later(commits={"pre": PRE, "human": OTHER})


def summary(**agent: Any) -> dict[str, Any]:
    stats = {"files_changed": 1, "lines_added": 2, "lines_removed": 1}
    told = {"status": "success", "duration_s": 3_212.0, "patch_generated": True, "patch_stats": stats}
    return {"schema_version": "1.0", "meta": {"item_id": ITEM}, "commits": {"human": HUMAN}, "agent": told | agent}


def targets(changed: str, *disallowed: str) -> dict[str, Any]:
    return {"changed": [changed], "allowed": ["src/core.py"], "disallowed": list(disallowed), "ok": not disallowed}


def prompt(commit: str) -> dict[str, Any]:
    return {"task": "faster", "constraints": ["no tests"], "commits": {"pre": PRE, "human": commit}}


def prediction(patch: str = PATCH, model: str = "gpt-5") -> str:
    return json.dumps({"instance_id": "x", "model_name_or_path": model, "model_patch": patch}) + "\n"


def labelled(root: Path, repository: str, item: str, written: float, **more: Any) -> None:
    """An attempt filed under a repository's label, in the newer layout."""
    at = f"{repository}/trae/gpt-5/2025-10-14_15-00-00"
    told = {"task_id": "fastlib_core", "timestamps": {"written": written}} | more
    patch = patch_of("python/fastlib/core.py", base="")
    attempt(root, run=at, item=item, journal__json=journal(**told), trajectory__json=untimed(), model_patch__diff=patch)


def with_settings(root: Path, *, report: str, config: str = "true") -> None:
    attempt(root)
    lines = ["agents:", "  trae_agent:", "    model: main", "    max_steps: 50", "models:"]
    for name in ("main", "other"):
        lines += [f"  {name}:", "    provider: openai", "    temperature: 0.5", f"    parallel_tool_calls: {config}"]
    put(root, trae_config__yaml="\n".join(lines) + "\n", report__md=f"# What we did\n\n{report}\n")


def many(root: Path, *files: tuple[str, Any]) -> None:
    for item, changed in files:
        attempt(root, item=item, **changed)


CASES: dict[str, tuple[Make, str]] = {
    "success-nonzero-exit": (lambda r: attempt(r, journal__json=journal(code=3)), "exit code 3"),
    "success-empty-patch": (lambda r: attempt(r, model_patch__diff=""), "its patch is empty"),
    "success-no-effect-patch": (
        lambda r: attempt(r, model_patch__diff=patch_of("tests/test_core.py")),
        "nothing but tests",
    ),
    "success-no-step": (broke, "no step, no answer and no token in 1.57 s"),
    "success-no-output": (
        lambda r: attempt(r, trajectory__json=trajectory(error="Token has expired and refresh failed")),
        "of its 1 call none was answered",
    ),
    "success-agent-failed": (
        lambda r: attempt(r, trajectory__json=answered(success=False)),
        "the agent says it failed",
    ),
    "success-with-cause": (
        lambda r: attempt(r, trajectory__json=answered(error=QUOTA)),
        "model/quota/exhausted (direct)",
    ),
    "success-with-error": (lambda r: attempt(r, journal__json=journal(error="[Errno 32] Broken pipe")), "Broken pipe"),
    "failure-finished-patch": (lambda r: attempt(r, journal__json=journal("error")), "the agent finished"),
    "failure-without-error": (
        lambda r: attempt(r, journal__json=journal("error", 1), trajectory__json=answered(error=NO_OUTPUT)),
        "agent/protocol/tool_output_missing",
    ),
    "failure-unexplained": (
        lambda r: attempt(
            r, journal__json=journal("error"), trajectory__json=None, model_patch__diff="", trae_stdout__txt=""
        ),
        "best guess",
    ),
    "edit-before-start": (
        lambda r: attempt(r, journal__json=with_metrics(time_to_first_edit_s=0.003)),
        "0.003 s after its beginning",
    ),
    "patch-identical": (twice_the_patch, f"24.0 h later; the same commit {HUMAN[:8]}"),
    "patch-identical-other-commit": (
        lambda r: twice_the_patch(r, journal__json=of_other_commit()),
        f"commit {OTHER[:8]}, and that one's was {HUMAN[:8]}",
    ),
    "patch-identical-other-agent": (
        lambda r: twice_the_patch(
            r, trajectory__json=None, trae_stdout__txt=None, codex_stderr__txt="OpenAI Codex v0.46.0\nmodel: gpt-5\n"
        ),
        "by codex, and that one by trae",
    ),
    "patch-identical-other-model": (
        lambda r: twice_the_patch(r, trajectory__json=json.loads(json.dumps(untimed()).replace("gpt-5", "o4-mini"))),
        "by o4-mini",
    ),
    "stale-workspace": (
        lambda r: (attempt(r), broke(r, run="later", journal__json=later(7.9 * 3600, trae={"returncode": 1}))),
        "no step",
    ),
    "patch-own-file": (
        lambda r: attempt(r, model_patch__diff=patch_of("model_patch.diff", base=PATCH)),
        "model_patch.diff",
    ),
    "patch-scratch": (lambda r: attempt(r, model_patch__diff=patch_of("notes.log", base=PATCH)), "notes.log"),
    "patch-tests": (lambda r: attempt(r, model_patch__diff=patch_of("tests/test_core.py", base=PATCH)), "test_core.py"),
    "patch-lock-or-ci": (
        lambda r: attempt(r, model_patch__diff=patch_of(".github/workflows/ci.yml", base=patch_of("uv.lock"))),
        "uv.lock, .github/workflows/ci.yml",
    ),
    "patch-outside-targets": (
        lambda r: attempt(
            r,
            diff_targets__json=targets("src/core.py", "src/core.py"),
        ),
        "changed and not allowed: src/core.py",
    ),
    "patch-near-shown": (
        lambda r: attempt(r, model_patch__diff=LONG_PATCH, task__txt=f"Make it fast, such as:\n{LONG_PATCH}"),
        "4 of its 4 added lines",
    ),
    "expert-hash-shown": (lambda r: attempt(r, task__txt=f"Look at commit {HUMAN}.\n"), "in its prompt"),
    "expert-message-shown": (lambda r: attempt(r, task__txt=STAT), "1 time in its prompt"),
    "expert-diff-shown": (lambda r: attempt(r, task__txt=f"Do as here:\n{OTHER_PATCH}"), "1 time in its prompt"),
    "agent-label-wrong": (
        lambda r: attempt(r, journal__json=labelled_as(agent="codex")),
        "'codex' (journal.json:run_metadata.agent); its own records say trae",
    ),
    "model-label-wrong": (lambda r: attempt(r, prediction__jsonl=prediction(model="gpt-4o")), "'gpt-4o'"),
    "model-other-than-asked": (
        lambda r: attempt(r, trajectory__json=answered(model="gpt-4o")),
        "asked for gpt-4o; answered by gpt-5-2025-08-07",
    ),
    "repository-label-typo": (
        lambda r: (labelled(r, "fastli", "one", WRITTEN), labelled(r, "fastlib", "two", WRITTEN + DAY)),
        "filed under 'fastli': 1 attempt; their files speak of 'fastlib', under which 1 other is filed",
    ),
    "commits-disagree": (
        lambda r: attempt(r, prompt__json=prompt(OTHER)),
        "different commits",
    ),
    "item-two-commits": (
        lambda r: twice_the_patch(r, journal__json=of_other_commit(), model_patch__diff=OTHER_PATCH),
        "means 2 commits",
    ),
    "tokens-not-recorded": (
        lambda r: attempt(r, journal__json=journal(metrics={"commit_count": 1})),
        "3,000 input and 90 output tokens stand in trajectory.json",
    ),
    "usage-sources-disagree": (
        lambda r: attempt(
            r,
            trajectory__json=trajectory(usage(90_000, 40), usage(90_000, 50)),
            trae_stdout__txt="Step 1\nInput: 60000 Output: 40\n",
        ),
        "% apart",
    ),
    "usage-impossible": (
        lambda r: attempt(r, trajectory__json=trajectory(usage(100, 40, 500), usage(2_000, 50))),
        "500 cached of 100 input tokens",
    ),
    "usage-unknown": (
        lambda r: attempt(r, trajectory__json=None, trae_stdout__txt="✅ Step 7: Completed\n"),
        "no file tells tokens",
    ),
    "attempt-twice": (
        lambda r: (attempt(r), attempt(r, run="archive/copy")),
        "holds a second copy of",
    ),
    "copies-differ": (
        lambda r: (attempt(r), attempt(r, run="archive/copy", journal__json=journal("error", 1))),
        "and differ: status",
    ),
    "concurrent-runs": (
        lambda r: twice_the_patch(
            r, journal__json=later(120), trajectory__json=untimed(), model_patch__diff=OTHER_PATCH
        ),
        "52 min of it at the same time",
    ),
    "times-impossible": (
        lambda r: attempt(r, journal__json=journal(wall=100.0)),
        "its own record spans 3,212 s, and its process lived for 100 s",
    ),
    "time-unaccounted": (
        lambda r: attempt(r, journal__json=journal(trae=ran(7_200.0, budget=120))),
        "lived for 7,200 s, and its own record spans 3,212 s",
    ),
    "wall-beyond-budget": (
        lambda r: attempt(r, journal__json=journal(trae=ran(3_212.0, budget=30))),
        "3,212 s of 1,800 s",
    ),
    "setting-contradicted": (
        lambda r: with_settings(r, report="We disabled `parallel_tool_calls`."),
        "parallel_tool_calls: claimed false (report.md:3); configured true (trae_config.yaml:9, trae_config.yaml:13)",
    ),
    "setting-claims-disagree": (
        lambda r: with_settings(
            r, report="We disabled `parallel_tool_calls`.\n\nLater: `parallel_tool_calls: true` was kept."
        ),
        "claimed false (report.md:3); claimed true (report.md:5)",
    ),
    "setting-unconfirmed": (lambda r: with_settings(r, report="Nothing."), "temperature: configured 0.5"),
    "metrics-disagree": (
        lambda r: attempt(r, journal__json=with_metrics(commit_count=0, changed_files_count=7)),
        "7 changed files, 1 in the patch; 0 commits, and a patch of",
    ),
    "targets-disagree": (
        lambda r: attempt(r, diff_targets__json=targets("src/other.py")),
        "listed, not in the patch: src/other.py; in the patch, not listed: src/core.py",
    ),
    "summary-disagrees": (
        lambda r: attempt(r, run_summary__json=summary(status="error", patch_generated=False)),
        "status error, and it is success; patch_generated False, and it is True",
    ),
    "prediction-disagrees": (lambda r: attempt(r, prediction__jsonl=prediction(OTHER_PATCH)), "other ones"),
    "record-broken": (
        lambda r: attempt(r, journal__json="", prompt__json={"commits": {"human": HUMAN}}),
        "journal.json: empty",
    ),
    "journal-missing": (
        lambda r: attempt(r, journal__json=None, prompt__json={"commits": {"human": HUMAN}}),
        "journal.json: there is none; what there is: prompt.json",
    ),
    "log-empty": (
        lambda r: attempt(r, trajectory__json=None, trae_stdout__txt=""),
        "ran for 3,212 s and left 1 empty log",
    ),
    "secret-in-log": (
        lambda r: attempt(r, trae_stdout__txt=f"Step 1\nusing the key {KEY}\n"),
        "provider key (1 time)",
    ),
}
"""Rule → an archive in which it finds something, and what it says."""

LONG_PATCH = PATCH.replace(
    "+    values = list(values)\n",
    "+    values = list(values)\n+    values.reverse()\n+    count = len(values)\n",
).replace("+1,4 @@", "+1,6 @@")
_OF_OUR_RUNS = {"setting-never-asked", "attempt-open", "own-record-damaged"}
"""Tested with runs of our own, in test_audit_runs."""
_RARE = {"calls-do-not-add-up", "record-damaged"}
"""Tested below, with records that no small archive gives."""


def labelled_as(**meta: Any) -> dict[str, Any]:
    return journal(run_metadata=meta)


def ran(seconds: float, *, budget: int) -> dict[str, Any]:
    return {"cli": "python", "time_budget_minutes": budget, "returncode": 0, "duration_s": seconds}


def findings(root: Path, rule: str) -> tuple[Finding, ...]:
    return audited(root, rule).rules[0].findings


def test_every_rule_is_tested() -> None:
    assert set(CASES) | _OF_OUR_RUNS | _RARE == {rule.id for rule in RULES}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_finds_what_it_is_there_for(rule: str, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    make, says = CASES[rule]
    make(root)
    found = findings(root, rule)
    assert found, rule
    assert any(says in each.message for each in found), [each.message for each in found]
    for each in found:
        assert (each.rule, each.archive.startswith("archive-")) == (rule, True)
        assert each.evidence, each.message
        for spot in each.evidence:
            assert (root / spot.file).exists(), spot


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root)
    attempt(root, run="b-run-5e6f7a8b", item="item-0001", **differently())
    found = audited(root)
    assert [(each.rule, each.findings) for each in found.found] == []
    assert found.attempts == 2
    assert found.count("error") == 0 and not found.reaches("note")


def differently() -> dict[str, Any]:
    return {
        "journal__json": later(commits={"pre": PRE, "human": OTHER}),
        "trajectory__json": untimed(),
        "model_patch__diff": OTHER_PATCH,
        "run_summary__json": summary() | {"meta": {"item_id": "item-0001"}, "commits": {"human": OTHER[:8]}},
        "prediction__jsonl": prediction(OTHER_PATCH),
        "diff_targets__json": targets("src/core.py"),
        "prompt__json": prompt(OTHER),
        "task__txt": "Make it fast.\n",
    }


def test_a_setting_that_is_claimed_as_it_is_configured_is_no_finding(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with_settings(root, report="We disabled `parallel_tool_calls`.", config="false")
    assert findings(root, "setting-contradicted") == ()


def test_a_contradicted_setting_is_shown_with_every_place(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with_settings(root, report="We disabled `parallel_tool_calls`.")
    (found,) = findings(root, "setting-contradicted")
    assert {(spot.file, spot.line) for spot in found.evidence} == {
        ("report.md", 3),
        ("trae_config.yaml", 9),
        ("trae_config.yaml", 13),
    }
    for spot in found.evidence:
        assert "parallel_tool_calls" in (root / spot.file).read_text().splitlines()[(spot.line or 0) - 1]


def test_of_many_places_of_a_contradicted_setting_each_value_keeps_one(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    with_settings(root, report="We disabled `parallel_tool_calls`.\n\n" * 40)
    (found,) = findings(root, "setting-contradicted")
    assert len(found.evidence) == 20
    assert {spot.file for spot in found.evidence[:2]} == {"report.md", "trae_config.yaml"}


def test_a_page_of_documentation_that_was_there_before_is_no_scratch(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root, model_patch__diff=PATCH + PATCH.replace("src/core.py", "README.md"))
    assert findings(root, "patch-scratch") == ()
    new = PATCH.replace("src/core.py", "NOTES.md").replace("index", "new file mode 100644\nindex")
    attempt(root, model_patch__diff=PATCH + new)
    assert len(findings(root, "patch-scratch")) == 1


def test_a_claim_without_a_configuration_is_unconfirmed_not_contradicted(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root)
    put(root, report__md="We disabled `parallel_tool_calls`.\n")
    assert findings(root, "setting-contradicted") == ()
    assert [each.message for each in findings(root, "setting-unconfirmed")] == [
        "parallel_tool_calls: claimed false (report.md:1)"
    ]


def test_settings_of_an_archive_without_any_cannot_be_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    put(root / "x", rollout__jsonl="", trae_stdout__txt="✅ Step 7: Completed\n")
    outcome = {each.rule: each for each in audited(root, *(rule.id for rule in SETTING_RULES)).rules}
    assert "shows a setting" in outcome["setting-unconfirmed"].unknown[0].why


def test_a_small_difference_between_sources_of_tokens_is_tolerated(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    tokens = trajectory(usage(90_000, 40), usage(90_000, 50))
    attempt(root, trajectory__json=tokens, trae_stdout__txt="Step 1\nInput: 179000 Output: 88\n")
    outcome = audited(root, "usage-sources-disagree").rules[0]
    assert (outcome.findings, outcome.unknown) == ((), ())


def test_the_stale_workspace_says_how_long_after_the_first_one_it_was(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    CASES["stale-workspace"][0](root)
    (found,) = findings(root, "stale-workspace")
    assert found.attempts == (f"later/{ITEM}", f"a-run-1a2b3c4d/{ITEM}")
    assert "byte for byte that of a-run-1a2b3c4d/item-0000, 7.9 h later" in found.message


def test_attempts_without_a_patch_file_are_unknown_to_rules_on_patches(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root, model_patch__diff=None)
    (outcome,) = audited(root, "patch-own-file").rules
    assert [(each.why, each.attempts) for each in outcome.unknown] == [("there is no patch file", 1)]


def test_two_agents_at_the_same_items_at_the_same_time_are_no_concurrent_runs(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    codex = {"codex_stderr__txt": "OpenAI Codex v0.46.0\nmodel: gpt-5\n", "trae_stdout__txt": None}
    twice_the_patch(root, journal__json=later(120), trajectory__json=None, **codex)
    assert findings(root, "concurrent-runs") == ()


def test_figures_in_labels_of_repositories_are_versions_not_typing_errors(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    labelled(root, "engine1", "one", WRITTEN)
    labelled(root, "engine2", "two", WRITTEN + DAY)
    assert findings(root, "repository-label-typo") == ()


def test_a_shortened_commit_is_the_same_commit(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    short = later(commits={"pre": PRE, "human": HUMAN[:8]}, agent_branch=f"agent/x/{HUMAN[:8]}")
    twice_the_patch(root, journal__json=short)
    assert findings(root, "item-two-commits") == ()
    assert findings(root, "commits-disagree") == ()
    assert findings(root, "patch-identical-other-commit") == ()


def test_a_rule_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root)
    with pytest.raises(InputError, match="no rule is called 'nonsense'"):
        audited(root, "nonsense")


def test_what_strangers_wrote_is_inert_and_short_in_a_finding(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    hostile = "\x1b[31mred\x07 \u202eevil " + KEY + " " + "x" * 50_000
    attempt(root, item="\x1b[31mitem", journal__json=journal(error=hostile, code=1))
    for outcome in audited(root).found:
        for each in outcome.findings:
            for text in (each.message, *(spot.excerpt for spot in each.evidence)):
                assert len(text) <= 400
                assert KEY not in text and "\x1b" not in text and "\u202e" not in text


def test_a_file_that_was_read_in_part_is_found_with_its_attempt(tmp_path: Path) -> None:
    root, state = tmp_path / "archive", tmp_path / "state"
    folder = attempt(root)
    store = imported(root, state).store
    file = (folder / "trajectory.json").relative_to(root).as_posix()
    problem = {"path": file, "what": "damaged", "why": "cut off after 512 bytes"}
    (store.folder / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    (found,) = audit(collect((), state), state, ["record-damaged"]).rules[0].findings
    assert found.attempts == (f"{RUN}/{ITEM}",)
    assert [(spot.file, spot.excerpt) for spot in found.evidence] == [(file, "cut off after 512 bytes")]


def test_more_failed_calls_than_calls_do_not_add_up(tmp_path: Path) -> None:
    root, state = tmp_path / "archive", tmp_path / "state"
    attempt(root)
    store = imported(root, state).store
    line = next(store.attempts()).model_copy(update={"failed": 9}).model_dump_json()
    (store.folder / "attempts.jsonl").write_text(line + "\n")
    (found,) = audit(collect((), state), state, ["calls-do-not-add-up"]).rules[0].findings
    assert found.message == "9 failed calls of 2"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"journal__json": journal(timestamps={"written": 4e9})}, "after it was read"),
        ({"trajectory__json": answered(start_time="2025-10-14T16:53:32")}, "before it began"),
        ({"journal__json": journal(wall=-5.0), "trajectory__json": untimed()}, "ran for -5.0 s"),
    ],
    ids=["future", "backwards", "negative"],
)
def test_times_that_cannot_be_are_found(files: dict[str, Any], says: str, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root, **files)
    assert [says in each.message for each in findings(root, "times-impossible")] == [True]


def test_many_attempts_at_one_commit_at_one_time_are_looked_at_in_bounded_time(tmp_path: Path) -> None:
    root, state = tmp_path / "archive", tmp_path / "state"
    attempt(root)
    store = imported(root, state).store
    one = next(store.attempts())
    lines = []
    for number in range(1_500):
        recorded = one.recorded.model_copy(update={"written": WRITTEN + number / 1_000})
        more = {"id": f"{number:012x}", "run": f"run-{number}", "folder": f"f/{number}", "recorded": recorded}
        lines.append(one.model_copy(update=more).model_dump_json())
    (store.folder / "attempts.jsonl").write_text("\n".join(lines) + "\n")
    (outcome,) = audit(collect((), state), state, ["concurrent-runs"]).rules
    assert 1_000 <= outcome.count <= 2_500
    assert "more than 1,000 such pairs" in outcome.unknown[0].why
