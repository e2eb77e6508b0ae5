"""Interrupted runs: by Ctrl-C, by a kill at any moment, by a full disk. What is on record stands and says the truth."""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from command_line import WITH_SHELL_AGENT, Running, call, read_json, run
from small_project import GENUINE, PYTEST, Project, prepare_small, task_of, write_suite
from speedproof.analysis import Row, rows
from speedproof.journal import RunStore, Store
from speedproof.journal.files import BadLine, read_jsonl
from speedproof.report import explain, write_report
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
SCRIPT = "format: speedproof/script/1\nturns:\n  - finish: Done.\n"


def events(run: RunStore) -> list[str]:
    return [e[1]["event"] for e in read_jsonl(run.folder / "events.jsonl") if not isinstance(e, BadLine)]


def processes_that_see(folder: Path) -> list[str]:
    """Command lines of processes, other than ours, in whose mounts or arguments `folder` appears."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "mountinfo").read_text() + (process / "cmdline").read_text()
            if int(process.name) != os.getpid() and str(folder) in seen:
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it ended
    return found


def wait_until_nobody_sees(folder: Path) -> None:
    deadline = time.monotonic() + 10
    while (left := processes_that_see(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


# Ctrl-C


@pytest.fixture
def slow(tmp_path: Path, cache: Cache, project: Project) -> Iterator[Running]:
    """A run whose agent takes long."""
    write_suite(tmp_path, task_of(project, workloads=None))
    (tmp_path / "script.yaml").write_text(SCRIPT)
    words = ["run", "suite.yaml", "--agent", "shell", "--model", "scripted:script.yaml"]
    command = Running(
        *words,
        cwd=tmp_path,
        cache=cache.root,
        program=WITH_SHELL_AGENT,
        env={"SHELL_AGENT": "echo '# so far' >> tools.py; sleep 600"},
    )
    yield command
    command.process.kill()
    command.process.communicate()


def test_ctrl_c_ends_the_attempt_as_cancelled_with_what_it_has_done(
    tmp_path: Path, slow: Running, cache: Cache
) -> None:
    slow.wait_for("script.yaml: running")
    time.sleep(0.7)
    assert slow.end(signal.SIGINT) == 130
    assert "every record is whole" in slow.said
    assert "Traceback" not in slow.said
    found = Store(tmp_path / "state").run("latest")
    (row,) = rows(found)
    assert (row.state, row.run, row.patch) == ("sealed", "cancelled", "no_effect")
    assert row.evaluation is None
    assert events(found) == ["run_began", "attempt_began", "stopped", "attempt_sealed"]
    wait_until_nobody_sees(cache.root)
    shown = call("explain", row.item[:6], cwd=tmp_path, cache=cache.root)
    assert shown.returncode == 0 and "cancelled" in shown.stdout
    later = call("evaluate", "latest", "--json", cwd=tmp_path, cache=cache.root)
    assert later.returncode == 0, later.stderr
    assert read_json(later.stdout)["rows"][0]["correctness"] == "pass"


@pytest.mark.parametrize("moment", ["unique: running the workloads on base and expert", "unique: measuring 4 arms"])
def test_ctrl_c_before_and_after_the_attempts_leaves_what_is_sealed(
    tmp_path: Path, cache: Cache, project: Project, moment: str
) -> None:
    write_suite(tmp_path, task_of(project))
    command = Running("run", "suite.yaml", "--agent", "patch:expert", cwd=tmp_path, cache=cache.root)
    command.wait_for(moment)
    assert command.end(signal.SIGINT) == 130, command.said
    assert "Traceback" not in command.said
    if "measuring" in moment:
        (row,) = rows(Store(tmp_path / "state").run("latest"))
        assert (row.state, row.run, row.evaluation) == ("sealed", "completed", None)
    else:
        assert not (tmp_path / "state").exists()
    wait_until_nobody_sees(cache.root)


# Killed at any moment


MOMENTS = (("unique: preparing", 1.0), (": running", 0.8), ("unique: preparing to judge", 2.0))
"""The line after which a run is killed, and within how many seconds."""


def test_a_kill_at_any_moment_leaves_every_record_readable_and_nothing_running(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    prepare_small(tmp_path / "first", project, cache)  # only the environment is worth having beforehand
    own = tmp_path / "cache"
    own.mkdir()
    (own / "environments").symlink_to(cache.root / "environments")
    write_suite(tmp_path, task_of(project, tests=[{"command": f"{PYTEST} -k order # {tmp_path}"}]))
    patch = tmp_path / "mine.diff"
    patch.write_bytes(project.patch({"tools.py": GENUINE}))
    words = ["run", "suite.yaml", "--agent", "patch:expert", "--agent", f"patch:{patch}", "--max-blocks", "12"]
    draw = random.Random()
    for _ in range(4):
        commands = [Running(*words, cwd=tmp_path, cache=own) for _ in MOMENTS]
        for command, (line, most) in zip(commands, MOMENTS, strict=True):
            command.wait_for(line)
            command.kill_after(draw.uniform(0, most))
        assert not any("Traceback" in command.said for command in commands)
    assert call("gc", "--free", cwd=tmp_path, cache=own).returncode == 0
    assert Cache(own).scratch("after").is_dir()
    assert len(list((own / "work").glob("*/*"))) == 1, "the next process sweeps up what the killed ones left"
    wait_until_nobody_sees(own)
    assert mounts_below(own) == []
    runs = Store(tmp_path / "state").runs()
    cut = [store for store in runs if "judged" not in events(store)]
    for store in cut:
        _check_records(store)
        found = rows(store)
        assert any(row.state != "sealed" or row.evaluation is None for row in found), "it does not look whole"
        assert all(row.run == "crashed" for row in found if row.state == "open")
        for attempt in store.attempts():
            if (attempt.folder / "attempt.json").exists():
                assert explain(attempt).renderables
    assert write_report(cut[-1], tmp_path / "report").html.stat().st_size > 1000


def _check_records(store: RunStore) -> None:
    for file in store.folder.rglob("*.json"):
        if not file.name.startswith("."):
            json.loads(file.read_bytes())
    for file in store.folder.rglob("*.jsonl"):
        assert not any(isinstance(entry, BadLine) and not entry.torn for entry in read_jsonl(file))


def test_a_cut_attempt_is_called_crashed_by_report_and_explain(tmp_path: Path, slow: Running, cache: Cache) -> None:
    slow.wait_for("script.yaml: running")
    time.sleep(0.7)
    assert slow.end(signal.SIGKILL) == -signal.SIGKILL
    wait_until_nobody_sees(cache.root)
    assert mounts_below(cache.root) == []
    shown = call("report", "latest", "--json", cwd=tmp_path, cache=cache.root)
    assert shown.returncode == 0, shown.stderr
    (row,) = read_json(shown.stdout)["rows"]
    assert (row["state"], row["run"], row["proven"]) == ("open", "crashed", False)
    assert row["diagnosis"]["failure"] == "infrastructure/interrupted"
    told = call("explain", row["item"], cwd=tmp_path, cache=cache.root)
    assert told.returncode == 0 and "crashed" in told.stdout and "without sealing the attempt" in told.stdout


def test_two_runs_at_once_in_one_state_folder_do_not_disturb_each_other(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    write_suite(tmp_path, task_of(project, workloads=None))
    words = ["run", "suite.yaml", "--agent", "patch:expert", "--agent", "patch:noop"]
    both = [Running(*words, cwd=tmp_path, cache=cache.root) for _ in range(2)]
    for command in both:
        _, said = command.process.communicate(timeout=60)
        assert command.process.returncode == 0, said
    runs = Store(tmp_path / "state").runs()
    assert len(runs) == 2
    for store in runs:
        assert [(r.run, r.correctness) for r in rows(store)] == [("completed", "pass")] * 2
        assert events(store) == ["run_began", *["attempt_began", "attempt_sealed"] * 2, "judging_began", "judged"]


# A full disk


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def assert_said_so(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "o space left on device" in done.stderr
    assert "next: " in done.stderr


@as_root
def test_a_full_disk_under_the_records_is_said_so_and_earlier_records_stand(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    write_suite(tmp_path, task_of(project, workloads=None))
    words = ["run", "suite.yaml", "--agent", "patch:expert"]
    with small_disk(tmp_path / "disk", 512) as disk:
        state = disk / "state"
        first = call(*words, "--state", state, cwd=tmp_path, cache=cache.root)
        whole: list[Row] = rows(Store(state).run("latest")) if first.returncode == 0 else []
        assert whole or "o space" in first.stderr
        filler = disk / "filler"
        for left_kilobytes in (0, 12, 28):
            filler.unlink(missing_ok=True)
            size = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - left_kilobytes * 1024
            filler.write_bytes(b"x" * max(0, size))
            assert_said_so(call(*words, "--state", state, cwd=tmp_path, cache=cache.root))
            for store in Store(state).runs():
                _check_records(store)
        if whole:
            assert rows(Store(state).runs()[0]) == whole
        for store in Store(state).runs():
            assert ("judged" in events(store)) == all(r.evaluation is not None for r in rows(store))


@as_root
@pytest.mark.parametrize("kilobytes", [8, 48])
def test_a_full_disk_under_the_cache_is_said_so_and_nothing_is_begun(
    tmp_path: Path, project: Project, kilobytes: int
) -> None:
    write_suite(tmp_path, task_of(project, environment=None, tests=None, workloads=None))
    with small_disk(tmp_path / "disk", kilobytes) as disk:
        assert_said_so(run("run", "suite.yaml", "--agent", "patch:expert", cwd=tmp_path, cache=disk / "cache"))
        assert not Store(tmp_path / "state").runs() or not rows(Store(tmp_path / "state").runs()[0])[0].proven
