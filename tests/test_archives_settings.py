"""Settings are found where they stand: in configurations, in records of runs, and in what reports say of them."""

import json
from pathlib import Path

import pytest

from archive_builder import PATCH, attempts, imported, journal, only, put, trajectory, usage
from record_builder import demo_run
from speedproof.archives.claimed import claims
from speedproof.archives.configuration import read_yaml
from speedproof.archives.prompt import wording
from speedproof.journal.foreign_parts import SettingSeen

CONFIG = """agents:
  trae_agent:
    model: main
    max_steps: 120  # of the agent
    tools: [bash, task_done]
model_providers:
  openai:
    api_key: not-a-known-shape
    provider: openai
models:
  main:
    model: gpt-5
    temperature: 0.5
    parallel_tool_calls: true
  other:
    model: gpt-4o
    parallel_tool_calls: yes
    max_retries: ~
"""
REPORT = """# Report

- ✓ Disabled parallel_tool_calls
- max_steps set to 100
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def settings(root: Path, state: Path) -> list[SettingSeen]:
    return imported(root, state).store.settings()


def places(found: list[SettingSeen], key: str) -> list[tuple[str, str | None, str, int | None]]:
    return [(each.how, each.value, each.file, each.line) for each in found if each.key == key]


def test_a_setting_configured_at_two_lines_and_claimed_otherwise_is_seen_at_all_three(root: Path, state: Path) -> None:
    put(root, trae_config__yaml=CONFIG, report__md=REPORT)
    found = settings(root, state)
    assert places(found, "parallel_tool_calls") == [
        ("configured", "true", "trae_config.yaml", 14),
        ("configured", "true", "trae_config.yaml", 17),
        ("claimed", "false", "report.md", 3),
    ]
    assert places(found, "max_steps") == [
        ("configured", "120", "trae_config.yaml", 4),
        ("claimed", "100", "report.md", 4),
    ]
    assert [each.path for each in found if each.key == "parallel_tool_calls"][:2] == [
        "models.main.parallel_tool_calls",
        "models.other.parallel_tool_calls",
    ]
    assert next(each for each in found if each.how == "claimed").excerpt == "- ✓ Disabled parallel_tool_calls"
    assert not imported(root, state).store.problems()  # both were read


def test_a_configuration_is_known_by_what_it_holds(root: Path, state: Path) -> None:
    put(root, old__conf=CONFIG, notes__yaml="title: hello\nitems: [1, 2]\n")
    assert {each.file for each in settings(root, state)} == {"old.conf"}
    assert [problem.path for problem in imported(root, state).store.problems()] == ["notes.yaml"]


def test_a_configuration_in_the_short_form_of_yaml_is_read_with_its_lines(root: Path, state: Path) -> None:
    put(
        root,
        c__yaml="models: {main: {model: gpt-5, parallel_tool_calls: true},\n  other: {parallel_tool_calls: yes}}\n",
    )
    found = settings(root, state)
    assert [each[1:] for each in places(found, "parallel_tool_calls")] == [("true", "c.yaml", 1), ("true", "c.yaml", 2)]


def test_a_json_configuration_is_read_with_its_lines(root: Path, state: Path) -> None:
    value = {"agents": {"a": {"model": "m", "max_steps": 5, "api_key": "nobody-knows-it"}}, "models": {}}
    put(root, bench__json=value)
    found = settings(root, state)
    assert [(each.key, each.value, each.line) for each in found] == [
        ("model", "m", 4), ("max_steps", "5", 5), ("api_key", None, 6),
    ]  # fmt: skip


def test_a_key_in_a_configuration_is_never_kept(root: Path, state: Path) -> None:
    flow = "p: {api_key: &k hidden-one, provider: openai}\nq: {other: *k}\nheaders: {Authorization: hidden-two}\n"
    put(root, trae_config__yaml=f"{CONFIG}{flow}", model_providers__json={"model_providers": {"x": {
        "token": "hidden-three", "base_url": "https://me:hidden-four@host/v1"}}})  # fmt: skip
    store = imported(root, state).store
    assert len(store.settings()) > 10
    everything = b"".join(path.read_bytes() for path in store.folder.iterdir())
    assert b"hidden" not in everything and b"not-a-known-shape" not in everything
    assert [each.value for each in store.settings() if each.key == "api_key"] == [None, None]
    assert all("[redacted]" in each.excerpt for each in store.settings() if each.key == "api_key")


def test_what_a_run_was_made_with_is_seen_in_its_own_records(root: Path, state: Path) -> None:
    banner = "OpenAI Codex v0.60.1\n--------\nworkdir: /w\nmodel: gpt-5\nreasoning effort: high\n--------\nuser\na: b\n"
    put(root / "trae", journal__json=journal(experiment={"hints_enabled": True}), trajectory__json=trajectory(
        usage(5, 5), max_steps=120))  # fmt: skip
    put(root / "codex", journal__json=journal(block="codex_cli"), codex_stderr__txt=banner)
    turns = [{"model": "gpt-5", "effort": "high", "sandbox_policy": {"type": "workspace-write"}}] * 3
    put(root / "rollout", r__jsonl="".join(
        json.dumps({"type": "turn_context", "payload": turn}) + "\n" for turn in turns))  # fmt: skip
    put(root / "claude", r__jsonl=json.dumps(
        {"type": "system", "subtype": "init", "session_id": "s", "model": "big", "permissionMode": "acceptEdits"}
    ) + "\n")  # fmt: skip
    put(root / "mini", t__json={"info": {"exit_status": "Submitted", "config": {
        "model": {"model_name": "gpt-5", "model_kwargs": {"temperature": 0.0}}, "agent": {"step_limit": 50}}},
        "messages": []})  # fmt: skip
    found = settings(root, state)
    text = (root / "trae" / "trajectory.json").read_text().split("\n")
    [(how, value, file, line)] = places(found, "max_steps")
    assert (how, value, file) == ("sent", "120", "trae/trajectory.json")
    assert line is not None and '"max_steps": 120' in text[line - 1]
    assert ("configured", "true", "trae/journal.json") in [(e.how, e.value, e.file) for e in found]
    assert places(found, "time_budget_minutes")[0][:2] == ("configured", "60")
    assert places(found, "reasoning_effort") == [("sent", "high", "codex/codex_stderr.txt", 5)]
    assert places(found, "effort") == [("sent", "high", "rollout/r.jsonl", 1)]
    assert places(found, "sandbox_policy") == [("sent", "workspace-write", "rollout/r.jsonl", 1)]
    assert places(found, "permissionMode") == [("sent", "acceptEdits", "claude/r.jsonl", 1)]
    assert [each[:2] for each in places(found, "temperature")] == [("sent", "0.0")]
    assert [each[:2] for each in places(found, "step_limit")] == [("configured", "50")]
    known = {attempt.id for attempt in imported(root, state).store.attempts()}
    assert {each.attempt for each in found} == known


@pytest.mark.parametrize(
    ("text", "key", "value", "denied"),
    [
        ("Disabled parallel_tool_calls.", "parallel_tool_calls", "false", False),
        ("- `parallel_tool_calls: true`", "parallel_tool_calls", "true", False),
        ("Parallel tool calls were disabled.", "parallel_tool_calls", "false", False),
        ("We enabled `parallel_tool_calls` at last.", "parallel_tool_calls", "true", False),
        ("**max_steps** = 50", "max_steps", "50", False),
        ("max_steps set to 1,000.", "max_steps", "1000", False),
        ("Max steps limited to 40 here", "max_steps", "40", False),
        ("max_steps from 50 to 120", "max_steps", "120", False),
        ("changed parallel_tool_calls from true to false", "parallel_tool_calls", "false", False),
        ("temperature: 0.5", "temperature", "0.5", False),
        ("Model: `gpt-5-2025-08-07`", "model", "gpt-5-2025-08-07", False),
        ("Time budget per commit: 120 minutes", "time_budget_minutes", "120", False),
        ("| parallel_tool_calls | disabled | all runs |", "parallel_tool_calls", "false", False),
        ("parallel_tool_calls (disabled)", "parallel_tool_calls", "false", False),
        ("Status: disabled (`parallel_tool_calls`)", "parallel_tool_calls", "false", False),
        ("parallel-tool-calls: off", "parallel_tool_calls", "false", False),
        ("Disabling parallel_tool_calls was never applied.", "parallel_tool_calls", None, True),
        ("parallel_tool_calls was not disabled", "parallel_tool_calls", None, True),
        ("Said to be disabled, parallel_tool_calls is true", "parallel_tool_calls", None, False),
    ],
)
def test_a_statement_of_a_setting_is_found(text: str, key: str, value: str | None, denied: bool) -> None:
    [found] = claims("r.md", f"one\n{text}\nthree".encode())
    assert (found.key, found.value, found.denied, found.where.line) == (key, value, denied, 2)
    assert found.where.excerpt == text


@pytest.mark.parametrize(
    "text",
    [
        "Actually disable parallel_tool_calls in the configuration.",
        "- **Max Steps:** 9",
        "The model is large. A temperature of the room.",
        "parallel_tool_calls is a setting of the provider",
        "trae_config.yaml holds max_steps.",
        "| parallel_tool_calls | success | 12 |",
        "| max_steps | 9 |",
    ],
)
def test_a_wish_or_a_mention_is_no_statement(text: str) -> None:
    assert claims("r.md", text.encode()) == []


def test_a_name_counts_as_a_setting_once_a_configuration_has_it(root: Path, state: Path) -> None:
    put(root / "docs", report__md="own_switch: true\nsome_variable = 3\n")
    assert settings(root, state) == []
    put(root / "conf", trae_config__yaml=CONFIG + "own_switch: false\n")
    done = imported(root, state)
    assert done.read == 1  # the report was not read again
    assert places(done.store.settings(), "own_switch") == [
        ("configured", "false", "conf/trae_config.yaml", 19),
        ("claimed", "true", "docs/report.md", 1),
    ]


def test_a_second_import_keeps_settings_and_a_changed_configuration_is_read_anew(root: Path, state: Path) -> None:
    put(root / "conf", trae_config__yaml=CONFIG)
    put(root / "i", journal__json=journal(), trajectory__json=trajectory(max_steps=7))
    first = imported(root, state)
    before = {path.name: path.read_bytes() for path in first.store.folder.iterdir()}
    assert imported(root, state).read == 0
    assert {path.name: path.read_bytes() for path in first.store.folder.iterdir()} == before
    put(root / "conf", trae_config__yaml=CONFIG.replace("max_steps: 120", "max_steps: 1200"))
    done = imported(root, state)
    assert done.read == 1
    assert [each[1] for each in places(done.store.settings(), "max_steps")] == ["1200", "7"]
    (first.store.folder / "settings.jsonl").write_bytes(b"")
    assert imported(root, state).read == 2
    assert len(first.store.settings()) == first.manifest.settings


def test_broken_yaml_is_reported_with_its_line_and_read_up_to_it(root: Path, state: Path) -> None:
    put(root, trae_config__yaml=CONFIG + "  bad: [1, 2\nnext: x\n")
    done = imported(root, state)
    [problem] = done.store.problems()
    assert (problem.what, problem.path) == ("damaged", "trae_config.yaml")
    assert "line 20" in problem.why
    assert len(places(done.store.settings(), "parallel_tool_calls")) == 2


def test_names_with_dots_lists_and_aliases_keep_their_place() -> None:
    text = "models:\n  gpt-4.1: {max_steps: &n 3}\n  list: [1, *n]\n  ? [odd]\n  : 5\n---\nmodels: {temperature: 1}\n"
    found, problem = read_yaml("c.yaml", text.encode())
    assert problem is None
    assert [(each.path, each.key, each.value, each.where.line) for each in found] == [
        ("models.gpt-4.1.max_steps", "max_steps", "3", 2),
        ("models.list[0]", "list", "1", 3),
        ("models.list[1]", "list", "3", 3),
        ("?[0]", "?", "odd", 4),
        ("models.?", "?", "5", 4),
        ("models.temperature", "temperature", "1", 7),
    ]


def test_attempts_with_the_same_settings_have_the_same_digest_whatever_their_model(root: Path, state: Path) -> None:
    for name, model, steps in (("a", "gpt-5", 10), ("b", "gpt-4o", 10), ("c", "gpt-5", 20)):
        put(root / name, t__json=trajectory(model=model, max_steps=steps))
    put(root / "d", p__jsonl=json.dumps({"instance_id": "i", "model_patch": ""}) + "\n")
    a, b, c, d = attempts(root, state)
    assert a.config_sha256 == b.config_sha256 != c.config_sha256
    assert (a.config_sha256 is None, d.config_sha256) == (False, None)


PROMPT = """Work in /home/x/worktrees/core/core-{n}.
<test_script>
print({n})
</test_script>
Base is {hash}. Target files:
- src/a{n}.py
{more}
Be fast.
"""


def test_prompts_that_differ_in_the_task_only_have_the_same_wording(root: Path, state: Path) -> None:
    one = PROMPT.format(n=1, hash="a1" * 20, more="- setup.py\n- src/b.py")
    two = PROMPT.format(n=2, hash="b2" * 20, more="```\ngrep x\n```")
    three = one.replace("Be fast.", "Be quick.")
    for name, text in (("core-1", one), ("core-2", two.replace("```\ngrep x\n```\n", "")), ("core-3", three)):
        put(root / name, journal__json=journal(), task__txt=text)
    a, b, c = attempts(root, state)
    assert len({each.prompt_sha256 for each in (a, b, c)}) == 3
    assert a.prompt_template_sha256 == b.prompt_template_sha256 != c.prompt_template_sha256
    assert (a.prompt_file, a.prompt_chars) == ("task.txt", len(one))
    assert "grep" not in wording(two, ())


def test_the_most_telling_file_of_a_prompt_is_taken(root: Path, state: Path) -> None:
    parts = {"task": "t", "constraints": [], "target_files": ["a.py"]}
    put(root / "a", journal__json=journal(), trajectory__json=trajectory(task="x" * 500), prompt__json=parts)
    put(root / "b", journal__json=journal(), trajectory__json=trajectory(task="x" * 200), prompt__json=parts)
    put(root / "c", journal__json=journal(), prompt__json=parts | {"target_files": ["b.py"]})
    put(root / "d", journal__json=journal())
    a, b, c, d = attempts(root, state)
    assert [each.prompt_file for each in (a, b, c, d)] == ["trajectory.json", "prompt.json", "prompt.json", None]
    assert b.prompt_template_sha256 == c.prompt_template_sha256
    assert b.prompt_sha256 != c.prompt_sha256
    assert (d.prompt_sha256, d.prompt_chars) == (None, None)


def test_a_prediction_of_a_trajectory_with_the_same_patch_is_a_second_copy(root: Path, state: Path) -> None:
    def run(submission: str) -> dict[str, object]:
        return {"instance_id": "x-1", "info": {"exit_status": "Submitted", "submission": submission}, "messages": []}

    put(root / "x-1", traj__json=run(PATCH))
    put(root / "y-1", traj__json=run(PATCH) | {"instance_id": "y-1"})
    rows = [{"instance_id": name, "model_patch": patch} for name, patch in (("x-1", PATCH), ("y-1", PATCH + "+\n"))]
    put(root, preds__jsonl="".join(json.dumps(row) + "\n" for row in rows))
    found = {(each.layout, each.item): each for each in attempts(root, state)}
    whole = found["mini-swe-agent", "x-1"]
    assert whole.patch is not None and whole.patch_status == "present"
    assert found["swe-bench-predictions", "x-1"].duplicate_of == whole.id
    assert found["swe-bench-predictions", "y-1"].duplicate_of is None
    assert imported(root, state).read == 0


def test_the_experts_own_patch_is_not_the_attempts(root: Path, state: Path) -> None:
    put(root, journal__json=journal(), expert__diff=PATCH)
    assert only(root, state).patch is None
    put(root, model_patch__diff=PATCH.replace("+    return sorted(values)", "+    return values"))
    found = only(root, state)
    assert (found.lines_as_expert, found.patch is not None and found.patch.file) == (1, "model_patch.diff")


def test_settings_of_our_own_attempts_are_read_from_their_records(tmp_path: Path, state: Path) -> None:
    run = demo_run(tmp_path / "own")
    store = next(iter(run.attempts()))
    value = json.loads((store.folder / "attempt.json").read_text())
    value["configured"] = [{"name": "temperature", "value": 0.2, "file": "config/c.yaml", "line": 3}]
    (store.folder / "attempt.json").write_text(json.dumps(value))
    found = settings(run.folder, state)
    assert [(e.key, e.value, e.how, e.line) for e in found] == [("temperature", "0.2", "configured", 3)]
