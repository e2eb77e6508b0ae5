"""Damaged and hostile archives are read to the end, everything wrong is said, and nothing outside is touched."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive_builder import PATCH, attempts, imported, journal, only, put, trajectory, usage
from speedproof.archives import content
from speedproof.archives.claimed import claims
from speedproof.archives.configuration import read_yaml
from speedproof.archives.folder import read_folder
from speedproof.archives.listing import Entry, Folder
from speedproof.archives.log import read_log
from speedproof.archives.patch import patch_of
from speedproof.archives.prompt import wording
from speedproof.errors import InputError
from speedproof.journal import FailureClass as F
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import SettingSeen

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def spoiled(value: Any, choose: Any) -> Any:
    """A JSON value with some of its parts replaced by others."""
    if choose(st.integers(0, 9)) == 0:
        return choose(ANY_JSON)
    if isinstance(value, dict):
        return {key: spoiled(each, choose) for key, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each, choose) for each in value]
    return value


WHOLE: dict[str, Any] = {
    "journal.json": journal("error", 1, error="x", run_metadata={"repo": "r", "agent": "a", "model": "m"}),
    "trajectory.json": trajectory(usage(5, 5, 2), usage(6, 6, 9), error="Error code: 429 - quota"),
    "run_summary.json": {"schema_version": "1.0", "meta": {"agent": "t"}, "agent": {"status": "s"}, "commits": {}},
    "prompt.json": {"task": "t", "constraints": [], "commits": {"pre": "p"}},
    "result.json": {
        "type": "result", "session_id": "s", "subtype": "success", "is_error": False, "num_turns": 2,
        "duration_ms": 5, "modelUsage": {"m": {"inputTokens": 1, "outputTokens": 2}}, "errors": [],
    },
    "mini.json": {
        "info": {"exit_status": "E", "model_stats": {"api_calls": 1}, "submission": PATCH,
                 "config": {"model": {"model_name": "m", "model_kwargs": {"temperature": 0}}, "agent": {"k": [1]}}},
        "messages": [{"role": "assistant", "content": "c", "extra": {"response": {"model": "m", "usage": {}}}}],
    },
    "preds.json": [{"instance_id": "i", "model_patch": PATCH, "model_name_or_path": "m"}],
    "events.jsonl": {"type": "turn.completed", "usage": {"input_tokens": 1, "output_tokens": 2}},
    "bench.json": {"agents": {"a": {"model": "m", "max_steps": 5, "api_key": "k"}}, "models": {"m": {}}},
    "turns.jsonl": {"type": "turn_context", "payload": {"model": "m", "effort": "e", "sandbox_policy": {"type": "t"}}},
    "rollout.jsonl": {"type": "event_msg", "payload": {"type": "token_count", "info": {}}, "timestamp": "x"},
}  # fmt: skip


@MANY
@given(data=st.data())
def test_values_of_any_type_anywhere_are_borne(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "any"
    names = data.draw(st.lists(st.sampled_from(sorted(WHOLE)), min_size=1, max_size=4, unique=True))
    folder.mkdir(exist_ok=True)
    for name in names:
        text = json.dumps(spoiled(WHOLE[name], data.draw)).encode(errors="replace")
        cut = data.draw(st.sampled_from([len(text), len(text), len(text) // 2, 1]))
        (folder / name).write_bytes(text[:cut])
    entries = [Entry(path.name, path.stat().st_size, 0) for path in sorted(folder.iterdir())]
    found = read_folder("archive", tmp_path, Folder("any", entries))
    for attempt in found.attempts:
        again = ForeignAttempt.model_validate_json(attempt.model_dump_json())
        assert again.run_status == "completed" or again.diagnosis is not None
    said = {file.path for attempt in found.attempts for file in attempt.files}
    said |= {problem.path.removeprefix("any/") for problem in found.problems}
    said |= {seen.file.removeprefix("any/") for seen in found.settings}
    assert said >= {entry.name for entry in entries}  # nothing is dropped in silence
    for seen in found.settings:
        assert SettingSeen.model_validate_json(seen.model_dump_json()) == seen
    for path in folder.iterdir():
        path.unlink()


YAML_PARTS = st.sampled_from(
    ["agents:\n", "models:\n  m:\n    ", "temperature: 1\n", "parallel_tool_calls: true\n", "&a ", "*a\n", "[", "]",
     "{", "}", "- ", "? ", ": ", "|\n  x\n", "'", '"', "\t", "\0", "\ud800", "%YAML 1.1\n---\n", "!!python/object:a.b ",
     "<<: *a\n", "  ", "# c\n", "\u2028", "api_key: sk-abcdefgh12345678\n", "max_steps set to 5 ", "not "]
)  # fmt: skip


@MANY
@given(parts=st.lists(YAML_PARTS, max_size=30))
def test_configurations_and_reports_of_any_text_are_borne(parts: list[str]) -> None:
    data = "".join(parts).encode(errors="surrogatepass")
    found, _ = read_yaml("c.yaml", data)
    lines = data.count(b"\n") + data.count("\u2028".encode()) + 1
    for each in found + claims("r.md", data):
        assert 1 <= (each.where.line or 0) <= lines
        assert "abcdefgh12345678" not in f"{each.value} {each.where.excerpt}"
    assert len(wording("".join(parts), ("temperature",))) <= 7 * len("".join(parts)) + 7


HOSTILE_YAML = {
    "bomb": b"models:\n  a0: &a0 [x, x]\n"
    + b"".join(b"  a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 60)),
    "circle": b"models: &a\n  temperature: 1\n  again: *a\n",
    "deep": b"models:\n  temperature: 1\n  d: " + b"[" * 100_000,
    "deep map": b"models:\n  temperature: 1\n  d: " + b"{a: " * 50_000,
    "large": b"models:\n  temperature: 1\n" + b"  key: value\n" * 2_500_000,
    "one line": b"models:\n  temperature: 1\n  s: " + b"x" * (30 << 20),
    "zeros": b"models:\n  temperature: 1\n" + b"\0" * 4096,
    "not utf-8": b"models:\n  temperature: 1\n  s: \xff\xfe\n",
    "torn": b'models:\n  temperature: 1\n  s: "abc',
    "tabs": b"models:\n  temperature: 1\n\t\ts: 1\n",
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_hostile_configurations_are_reported_and_cost_little(name: str, root: Path, state: Path) -> None:
    put(root, trae_config__yaml=HOSTILE_YAML[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    done = imported(root, state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5
    assert len(done.store.settings()) <= 2_000
    assert sum(path.stat().st_size for path in done.store.folder.iterdir()) < 2_000_000
    problems = [(problem.what, problem.path) for problem in done.store.problems()]
    assert problems == ([] if name in ("bomb", "circle") else [("damaged", "trae_config.yaml")])


@pytest.mark.parametrize("text", [b"max_steps ", b"a_b ", b"max_steps: 5 not ", b"<code>", b"a/", b"time budget"])
def test_long_texts_of_nothing_but_names_take_no_long_time(text: bytes, root: Path, state: Path) -> None:
    data = text * ((2 << 20) // len(text))
    put(root, report__md=data, task__txt=data, journal__json=journal())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert only(root, state).prompt_chars == len(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10


def test_a_linked_configuration_is_not_read(root: Path, state: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", trae_config__yaml="models:\n  temperature: 1\n")
    root.mkdir()
    (root / "trae_config.yaml").symlink_to(outside / "trae_config.yaml")
    done = imported(root, state)
    assert done.store.settings() == []
    assert ["links are not followed" in problem.why for problem in done.store.problems()] == [True]


PIECES = st.sampled_from(
    [b"Input: 1 Output: 2\n", b"Step 7\n", "│ Success │ ✅ Yes │\n".encode(), b"Execution Summary\n", b"\0\xff\xfe",
     b"No tool output found for function call call_1", b"Error: x\n", b"OpenAI Codex v1\nmodel: m\n", b"\n",
     b"tokens used\n1,2", b"Will sleep for ", b"Traceback (most recent call last):\n  File \"a\", line 1\n", b"Input: ",
     b"@@ -1,2 +1,2 @@\n", b"diff --git a/x b/x\n", b"+a\n", b"-b\n", b"GIT binary patch\n", b"\r\n",
     b"Step 99999999999999999999"]
)  # fmt: skip


@MANY
@given(parts=st.lists(PIECES, max_size=40), every=st.integers(1, 7))
def test_logs_and_patches_of_any_bytes_are_borne(parts: list[bytes], every: int) -> None:
    data = b"".join(parts)
    whole = read_log("log", [data])
    lines = data.splitlines(keepends=True)
    split = read_log("log", [b"".join(lines[i : i + every]) for i in range(0, len(lines), every)])
    assert whole.tail == [] or whole.tail[0][0] <= data.count(b"\n") + 1
    assert (split.first_total, split.last_total) == (whole.first_total, whole.last_total)
    assert split.matches == whole.matches
    assert patch_of("p", data).size == len(data)


def test_links_are_reported_and_never_followed(root: Path, state: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", journal__json=journal(), secret__txt="outside")
    put(root / "a", journal__json=journal())
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(outside)
    (root / "a" / "trajectory.json").symlink_to(outside / "secret.txt")
    (root / "a" / "up").symlink_to("..")
    os.mkfifo(root / "a" / "pipe")
    done = imported(root, state)
    assert done.manifest.attempts == 1
    problems = {problem.path: problem.why for problem in done.store.problems()}
    assert set(problems) == {"loop", "out", "a/trajectory.json", "a/up", "a/pipe"}
    assert "links are not followed" in problems["out"]
    assert b"outside" not in (done.store.folder / "attempts.jsonl").read_bytes()


@pytest.mark.parametrize(
    "bad",
    [b"", b"\0" * 4096, b"{" * 100_000, b"[" * 100_000, b'{"a":' * 5_000, b"\xff\xfe{}", b'{"task_id": 1, "status": ',
     b'{"task_id": "\\ud800", "status": "error"}', b'{"task_id": "\xff\xff", "status": "error"}', b"null", b"[]",
     b"1e999"],
)  # fmt: skip
def test_broken_journals_are_reported_and_their_folders_kept(bad: bytes, root: Path, state: Path) -> None:
    put(root, journal__json=bad, model_patch__diff=PATCH, prompt__json={"task": "t", "constraints": []})
    found = only(root, state)
    assert found.diagnosis is not None
    assert [file.problem for file in found.files if file.path == "journal.json"] != [None]
    assert [p.path for p in imported(root, state).store.problems()] == ["journal.json"]


def test_a_name_that_is_no_text_is_reported(root: Path, state: Path) -> None:
    put(root, journal__json=journal())
    (root / os.fsdecode(b"bad-\xff.json")).write_text("{}")
    problems = imported(root, state).store.problems()
    assert ["UTF-8" in problem.why for problem in problems] == [True]


def test_files_that_no_reader_knows_are_reported(root: Path, state: Path) -> None:
    put(root, notes__md="hello", data__json={"a": 1}, image__bin=b"\x89PNG\0\0")
    done = imported(root, state)
    assert done.manifest.attempts == 0
    assert {problem.path for problem in done.store.problems()} == {"notes.md", "data.json", "image.bin"}


def test_an_unreadable_folder_deep_below_is_reported_and_the_rest_read(root: Path, state: Path) -> None:
    deep = root.joinpath(*["d"] * 80)
    put(deep, journal__json=journal())
    put(root / "z", journal__json=journal())
    done = imported(root, state)
    assert done.manifest.attempts == 1
    assert any("deeper than" in problem.why for problem in done.store.problems())


HUGE = """
import json, sys
from pathlib import Path
from speedproof.archives import import_archive
done = import_archive(Path(sys.argv[1]), Path(sys.argv[2]))
# Not ru_maxrss: that begins with what the process was forked from held.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps([done.manifest.attempts, done.manifest.damaged, int(peak.split()[1])]))
"""


def test_a_log_with_lines_of_200_mb_is_read_in_bounded_memory(root: Path, state: Path) -> None:
    put(root, journal__json=journal("error", 1))
    with (root / "trae_stdout.txt").open("wb") as file:
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b"\nTask execution interrupted by user\n")
    done = subprocess.run(
        [sys.executable, "-c", HUGE, str(root), str(state)], capture_output=True, text=True, check=True, timeout=120
    )
    count, damaged, peak_kb = json.loads(done.stdout)
    assert (count, damaged) == (1, 1)
    assert peak_kb < 300_000
    [found] = list(imported(root, state).store.attempts())
    assert found.diagnosis is not None and found.diagnosis.failure is F.INTERRUPTED
    assert found.diagnosis.evidence[0].line == 2


def test_many_hits_in_one_long_line_take_no_long_time(root: Path, state: Path) -> None:
    line = (
        b" ".join(b"No tool output found for function call call_%d" % n for n in range(60_000)) + b"Step 1 " * 200_000
    )
    put(root, journal__json=journal("error", 1), trae_stdout__txt=line)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    found = only(root, state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10
    assert found.legacy.no_tool_output_matches == 60_000


def test_many_failed_steps_take_no_long_time(root: Path, state: Path) -> None:
    steps = [{"step_number": n, "error": f"Error code: 500 - number {n}"} for n in range(20_000)]
    put(root, journal__json=journal("error"), trajectory__json=trajectory(success=False) | {"agent_steps": steps})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    found = only(root, state)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10
    assert (found.failed, len(found.failed_calls)) == (20_000, 1_000)
    assert found.diagnosis is not None and found.diagnosis.failure is F.SERVER_ERROR


def test_many_small_files_are_all_counted_and_listed_in_bounds(root: Path, state: Path) -> None:
    root.mkdir()
    for number in range(6_000):
        (root / f"{number}.txt").write_bytes(b"x")
    done = imported(root, state)
    assert done.manifest.files == 6_000
    assert done.manifest.skipped == 6_000
    assert [p.files for p in done.store.problems() if "5,900 more files" in p.why] == [5_900]


def test_many_broken_files_of_one_folder_are_all_counted_and_listed_in_bounds(root: Path, state: Path) -> None:
    put(root, journal__json=journal())
    for number in range(300):
        (root / f"{number}.json").write_bytes(b"")
    done = imported(root, state)
    assert done.manifest.broken == 300
    listed = done.store.problems()
    assert (len(listed), listed[-1].path, listed[-1].what, listed[-1].files) == (101, ".", "broken", 200)


def test_a_file_in_place_of_the_state_folder_is_refused(root: Path, state: Path) -> None:
    put(root, journal__json=journal())
    state.write_text("no folder")
    with pytest.raises(InputError, match="a file stands where"):
        imported(root, state)


def test_a_key_beyond_the_first_piece_of_a_large_log_is_noted_with_its_line(
    root: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "WHOLE_BYTES", 1_000)
    monkeypatch.setattr(content, "PIECE_BYTES", 1_000)
    key = "sk-proj-" + "9abK2FOpQy" * 4
    put(root, journal__json=journal(), trae_stdout__txt="quiet\n" * 1_000 + f"API key: {key}\n")
    found = only(root, state)
    assert [(seen.kind, seen.evidence.line) for seen in found.secrets] == [("provider key", 1_001)]
    assert "9abK2F" not in found.model_dump_json()
    assert imported(root, state).read == 0


def test_nothing_in_the_archive_is_changed(root: Path, state: Path) -> None:
    put(root / "a", journal__json=journal(), trae_stdout__txt="x")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in root.rglob("*")}
    attempts(root, state)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in root.rglob("*")} == before


IMPORT = """
import sys
import time
from pathlib import Path
from speedproof.archives import import_archive, many
many.PAYS_BYTES = 0
print("begun", flush=True)
import_archive(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1])
def test_an_import_that_is_killed_loses_nothing(delay: float, root: Path, state: Path, tmp_path: Path) -> None:
    for number in range(150):
        put(root / f"i{number}", journal__json=journal() | {"timestamps": {"written": number + 1.0}})
    clean = attempts(root, tmp_path / "clean")
    imported(root, state)
    put(root / "i7", journal__json=journal("error", 1))
    killed = subprocess.Popen([sys.executable, "-c", IMPORT, str(root), str(state)], stdout=subprocess.PIPE)
    assert killed.stdout is not None and killed.stdout.readline() == b"begun\n"
    time.sleep(delay)
    killed.kill()
    killed.wait()
    killed.stdout.close()
    found = attempts(root, state)
    assert [a for a in found if a.folder != "i7"] == [a for a in clean if a.folder != "i7"]
    assert [a.recorded.status for a in found if a.folder == "i7"] == ["error"]
