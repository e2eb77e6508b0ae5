"""What a killed run left is taken up: nothing of it is lost, and nothing of it is left on the machine."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from command_line import PROGRAM, WITH_SHELL_AGENT, Running, call
from shell_agent import Shell, finds
from small_project import GENUINE, Project, task_of, write_suite
from speedproof.agents.registry import get_agent
from speedproof.diagnosis import RULES
from speedproof.errors import InputError, RecordError
from speedproof.execution import recovery
from speedproof.execution.recovery import DAMAGED, GONE, end_left_of, recover
from speedproof.execution.scratch import all_scratch
from speedproof.journal import Attempt, AttemptStore, FailureClass, RunStore, Status, Store
from speedproof.journal.events import AttemptSealed, JudgingBegan
from speedproof.journal.files import BadLine, read_jsonl
from speedproof.sandbox.cgroups import left_groups
from speedproof.sandbox.orphans import MARK, orphans, own_mark
from speedproof.workspace.cache import Cache
from speedproof.workspace.leftovers import mounted_below

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="overlays, and a small disk, need root")
SCRIPT = "format: speedproof/script/1\nturns:\n  - finish: Done.\n"
SOLVE = (
    "echo 'SO_FAR = 1' >> tools.py; mv tests more; echo new > more/new.txt; echo said; echo '{}' > ~/trajectory.json"
)


class Killed:
    """A run of the shell agent that was killed in the middle of its attempt, and what there is to say of it."""

    def __init__(self, folder: Path, cache: Cache) -> None:
        self.folder, self.cache = folder, cache

    @property
    def run(self) -> RunStore:
        return Store(self.folder / "state").run("latest")

    @property
    def store(self) -> AttemptStore:
        return next(self.run.attempts())

    def recover(self) -> tuple[Attempt, Status]:
        lock = self.run.lock()
        try:
            ((store, status),) = recover(self.run, self.cache, self.run.events()[0])
        finally:
            self.run.unlock(lock)
        return store.read(), status


def start(folder: Path, cache: Cache, project: Project, command: str, sandbox: str = "bubblewrap") -> Running:
    """A run whose agent does `command` and then sleeps; back when its output is on disk."""
    write_suite(folder, task_of(project, workloads=None, tests=None, environment=None))
    (folder / "script.yaml").write_text(SCRIPT)
    words = ["run", "suite.yaml", "--agent", "shell", "--model", "scripted:script.yaml", "--sandbox", sandbox]
    env = {"SHELL_AGENT": f"{command}; sleep 600"}
    running = Running(*words, cwd=folder, cache=cache.root, program=WITH_SHELL_AGENT, env=env)
    running.wait_for("script.yaml: running")
    deadline = time.monotonic() + 20
    while "said" not in Killed(folder, cache).store.log_lines("stdout.log.zst") and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


def nothing_is_left(cache: Cache) -> None:
    """Of runs whose state folder stands beside their cache."""
    runs = [run.id for run in Store(cache.root.parent / "state").runs()]
    assert list(all_scratch(cache)) == []
    assert mounted_below(cache.root) == []
    assert [pid for pid in orphans() if f"{cache.root}/".encode() in _bytes(Path(f"/proc/{pid}/environ"))] == []
    assert [group.name for group in left_groups() if any(run in group.name for run in runs)] == []
    assert naming(cache.root) == []


def naming(folder: Path) -> list[str]:
    """Command lines of processes that name a folder."""
    lines = [_bytes(process / "cmdline").replace(b"\0", b" ") for process in Path("/proc").glob("[0-9]*")]
    return [line.decode(errors="replace") for line in lines if f"{folder}/".encode() in line]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it ended


def make_cache(root: Path, cache: Cache) -> Cache:
    """A cache of its own, but for the environments, which are worth having beforehand."""
    root.mkdir()
    (cache.root / "environments").mkdir(exist_ok=True)
    (root / "environments").symlink_to(cache.root / "environments")
    return Cache(root)


@pytest.fixture(autouse=True)
def _shell_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "get_agent", finds(Shell("")))


@pytest.fixture
def own(tmp_path: Path, cache: Cache) -> Iterator[Cache]:
    """A cache in which nothing may be left in the end."""
    made = make_cache(tmp_path / "cache", cache)
    yield made
    nothing_is_left(made)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, cache: Cache, project: Project) -> Path:
    """A folder with a run that was killed while its agent was at work, and the cache of that run."""
    folder = tmp_path_factory.mktemp("template")
    running = start(folder, make_cache(folder / "cache", cache), project, SOLVE)
    assert running.end(signal.SIGKILL) == -signal.SIGKILL
    return folder


def copy_of(template: Path, folder: Path) -> Killed:
    """The same run, killed anew."""
    for part in ("state", "cache"):
        subprocess.run(["cp", "-a", str(template / part), str(folder)], check=True)
    cache = Cache(folder / "cache")
    for note in cache.attempts.glob("*/tree/workspace.json"):
        note.write_text(note.read_text().replace(f"{template}/", f"{folder}/"))
    return Killed(folder, cache)


@pytest.fixture
def killed(tmp_path: Path, template: Path) -> Iterator[Killed]:
    """A run killed while its agent was at work; in the end it is recovered, and nothing is left."""
    found = copy_of(template, tmp_path)
    yield found
    assert all(status.run == "crashed" for _, status in recover(found.run, found.cache, []))
    nothing_is_left(found.cache)


def test_a_killed_attempt_is_sealed_as_crashed_with_what_it_left(killed: Killed) -> None:
    assert killed.store.read().state == "open"
    attempt, status = killed.recover()
    assert (attempt.state, status.run, status.patch) == ("sealed", "crashed", "applied")
    assert attempt.recovered_at is not None and attempt.process is None
    assert [t.stage for t in attempt.transitions] == [
        "queued",
        "prepared",
        "running",
        "stopping",
        "collected",
        "sealed",
    ]
    assert attempt.transitions[3].cause == GONE
    assert attempt.transitions[2].at < attempt.recovered_at < attempt.transitions[3].at
    patch = (killed.store.folder / "patch.diff").read_text()
    assert "+SO_FAR = 1" in patch and "more/new.txt" in patch and "tests/test_tools.py" in patch
    assert attempt.patch is not None and attempt.patch.applies and attempt.patch.size == len(patch)
    assert attempt.outcome is not None and attempt.outcome.finished
    assert (killed.store.folder / str(attempt.trajectory)).read_text() == "{}\n"
    assert killed.store.log_lines("stdout.log.zst") == ["said"]
    found = status.diagnosis
    assert found is not None and found.failure is FailureClass.INTERRUPTED and found.stage == "run"
    assert "ended in stage run" in found.message
    text = (killed.store.folder / "attempt.json").read_text().split("\n")
    recovered, stage = found.evidence[:2]
    assert "recovered_at" in text[(recovered.line or 0) - 1]
    assert '"running"' in text[(stage.line or 0) - 1]
    assert str(killed.cache.root) not in "\n".join(text), "a sealed record names no place of work"
    assert killed.store.status(RULES) == status
    nothing_is_left(killed.cache)


def test_what_the_scheduler_knows_as_sealed_is_left_alone(killed: Killed) -> None:
    attempt, _ = killed.recover()
    event = AttemptSealed.model_construct(item=attempt.item, number=1)
    assert list(recover(killed.run, killed.cache, [event])) == []


def test_another_process_sweeps_work_but_not_that_of_open_attempts(killed: Killed) -> None:
    left = killed.cache.root / "work" / "left"
    left.mkdir()
    code = "from speedproof.workspace.cache import Cache; Cache().scratch('x')"
    env = {**os.environ, "SPEEDPROOF_CACHE": str(killed.cache.root)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not left.exists()
    assert len(list(all_scratch(killed.cache))) == 1
    assert killed.recover()[1].patch == "applied"


def test_a_kill_while_recovering_is_recovered(killed: Killed, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kill(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Kill

    for name in ("collect_patch", "collect_evidence", "clear_folder"):
        with monkeypatch.context() as patched:
            patched.setattr(recovery, name, dies)
            with pytest.raises(Kill):
                killed.recover()
        assert killed.store.read().state == "open"
        first = killed.store.read().recovered_at
    attempt, status = killed.recover()
    assert (status.run, status.patch, attempt.recovered_at) == ("crashed", "applied", first)
    assert [t.stage for t in attempt.transitions].count("stopping") == 1
    assert status.diagnosis is not None and status.diagnosis.stage == "run"


def test_an_attempt_whose_sealing_alone_is_missing_is_only_sealed(killed: Killed) -> None:
    killed.recover()
    path = killed.store.folder / "attempt.json"
    sealed = json.loads(path.read_text())
    sealed["transitions"].pop()
    path.write_text(json.dumps({**sealed, "state": "open", "sealed_at": None, "recovered_at": None}))
    attempt, status = killed.recover()
    assert (attempt.state, status.run, status.patch) == ("sealed", "crashed", "applied")
    assert status.diagnosis is not None and status.diagnosis.stage == "collect"
    assert attempt.transitions[-1].cause == GONE


def test_a_missing_status_is_derived(killed: Killed) -> None:
    _, status = killed.recover()
    file = killed.store.folder / "derived" / f"{RULES}.json"
    for damage in (file.unlink, lambda: file.write_text('{"rules":')):
        damage()
        ((_, again),) = recover(killed.run, killed.cache, [])
        assert again.model_copy(update={"derived_at": status.derived_at}) == status
        assert killed.store.status(RULES) == again


@pytest.mark.parametrize("damage", ["", '{"format": "speedproof/att', "null"])
def test_facts_that_cannot_be_read_are_kept_beside_and_told_anew(killed: Killed, damage: str) -> None:
    path = killed.store.folder / "attempt.json"
    path.write_text(damage)
    attempt, status = killed.recover()
    assert (killed.store.folder / DAMAGED).read_text() == damage
    assert (status.run, status.patch, attempt.agent, attempt.task) == ("crashed", "applied", "shell", "unique")
    assert DAMAGED in str(attempt.transitions[1].cause)


def test_a_folder_without_facts_gets_those_that_are_known(killed: Killed) -> None:
    killed.recover()
    item = killed.store.folder.parent.name
    empty = killed.run.new_attempt(item)
    (empty.folder / ".attempt.json.123.tmp").write_text("{")
    *_, (store, status) = recover(killed.run, killed.cache, [])
    attempt = store.read()
    assert (store.folder, attempt.item, attempt.number) == (empty.folder, item, 2)
    assert (attempt.agent, attempt.model, attempt.sample) == ("shell", "scripted:script.yaml", 1)
    assert (status.run, status.patch) == ("crashed", "missing")
    assert status.diagnosis is not None and status.diagnosis.stage == "prepare"
    assert [p.name for p in empty.folder.iterdir() if p.name.startswith(".")] == []


def test_what_a_killed_judge_was_writing_is_removed(killed: Killed) -> None:
    attempt, _ = killed.recover()
    folder = killed.store.folder / "evaluations"
    folder.mkdir()
    (folder / ".abc.json.123.tmp").write_text("{")
    sealed = AttemptSealed.model_construct(item=attempt.item, number=1)
    assert list(recover(killed.run, killed.cache, [sealed, JudgingBegan(at=attempt.opened_at)])) == []
    assert list(folder.iterdir()) == []


def test_a_workspace_that_is_gone_is_said_to_be(killed: Killed) -> None:
    (scratch,) = all_scratch(killed.cache)
    subprocess.run(["rm", "-rf", str(scratch.folder)], check=True)
    attempt, status = killed.recover()
    assert (status.run, status.patch) == ("crashed", "missing")
    assert "its workspace was gone" in [t.cause for t in attempt.transitions]


def test_a_base_that_is_gone_is_said_to_be(killed: Killed) -> None:
    subprocess.run(["rm", "-rf", str(killed.cache.root / "bases")], check=True)
    attempt, status = killed.recover()
    assert (status.run, status.patch) == ("crashed", "missing")
    assert any("base" in str(t.cause) for t in attempt.transitions)


def test_another_start_of_the_machine_is_said(killed: Killed) -> None:
    (scratch,) = all_scratch(killed.cache)
    note = scratch.folder / "attempt.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "boot": "another"}))
    attempt, status = killed.recover()
    assert status.patch == "applied"
    assert any("started anew" in str(t.cause) for t in attempt.transitions)


def test_a_run_that_is_under_way_cannot_be_taken_up(killed: Killed) -> None:
    lock = killed.run.lock()  # as the process that works on it holds it
    with pytest.raises(InputError, match="another process works on run"):
        killed.recover()
    done = call("resume", killed.run.id, cwd=killed.folder, cache=killed.cache.root)
    assert done.returncode == 2 and f"another process works on run {killed.run.id}" in done.stderr
    assert killed.store.read().state == "open"
    killed.run.unlock(lock)


def test_without_a_sandbox_too_the_processes_of_a_dead_run_end(tmp_path: Path, own: Cache, project: Project) -> None:
    seconds = f"{time.time_ns() % 10**9 + 10**9}.5"
    running = start(tmp_path, own, project, f"setsid -f sleep {seconds}; {SOLVE}", sandbox="none")
    running.end(signal.SIGKILL)
    attempt, status = Killed(tmp_path, own).recover()
    assert (status.run, status.patch) == ("crashed", "applied")
    assert attempt.sandbox is not None and attempt.sandbox.kind == "none"
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if seconds.encode() in _bytes(p)]


def test_only_what_a_dead_harness_started_is_an_orphan(killed: Killed) -> None:
    dead = subprocess.Popen(["true"])
    namespace = own_mark().split(".")[0]
    marks = {
        "dead": f"{namespace}.{dead.pid}.1",
        "of this process": own_mark(),
        "of another start of this id": f"{namespace}.{os.getpid()}.1",
        "of another namespace": f"1.{dead.pid}.1",
        "none": "nonsense",
    }
    dead.wait()
    sleeping = {what: subprocess.Popen(["sleep", "100"], env={MARK: mark}) for what, mark in marks.items()}
    try:
        found = {what for what, process in sleeping.items() if process.pid in orphans()}
        assert found == {"dead", "of another start of this id"}
        assert end_left_of(killed.run, killed.cache) >= 2
        assert {what for what, process in sleeping.items() if process.poll() is not None} == found
    finally:
        for process in sleeping.values():
            process.kill()
            process.wait()


@as_root
def test_on_a_full_disk_nothing_is_lost_and_with_space_it_goes_on(template: Path, tmp_path: Path) -> None:
    refused = set()
    for left in range(0, 64, 4):
        folder = tmp_path / str(left)
        folder.mkdir()
        killed = copy_of(template, folder)
        with small_disk(folder / "state", left):
            try:
                killed.recover()
            except RecordError as error:
                assert "o space left on device" in str(error) and error.hint
                refused.add(error.file or "patch.diff")
                assert killed.store.read().state == "open" or not killed.store.status(RULES)
            (folder / "state" / "filler").unlink()
            ((store, status),) = recover(killed.run, killed.cache, [])
            assert (store.read().state, status.run, status.patch) == ("sealed", "crashed", "applied")
            assert "+SO_FAR = 1" in (store.folder / "patch.diff").read_text()
            assert (store.folder / "trajectory.json").read_text() == "{}\n"
        nothing_is_left(killed.cache)
    assert len(refused) > 2, "one write after the other was refused"


def test_a_patch_for_which_there_is_no_space_is_kept_until_there_is(
    tmp_path: Path, own: Cache, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_suite(tmp_path, task_of(project, workloads=None, tests=None, environment=None))
    patch = tmp_path / "mine.diff"
    patch.write_bytes(project.patch({"tools.py": GENUINE}))

    def full(store: AttemptStore, name: str, data: bytes) -> None:
        raise RecordError("cannot write the record: No space left on device", file=store.folder / name)

    monkeypatch.setattr(recovery, "get_agent", get_agent)
    with monkeypatch.context() as patched:
        patched.setattr(AttemptStore, "write_bytes", full)
        done = call("run", "suite.yaml", "--agent", f"patch:{patch}", cwd=tmp_path, cache=own.root)
    assert done.returncode == 2
    assert "o space left on device" in done.stderr and "speedproof resume" in done.stderr
    assert len(list(all_scratch(own))) == 1 and mounted_below(own.root) == []
    found = Killed(tmp_path, own)
    assert found.store.read().state == "open"
    _, status = found.recover()
    assert (status.run, status.patch) == ("crashed", "applied")


@contextmanager
def small_disk(folder: Path, left_kilobytes: int) -> Iterator[None]:
    """Give a folder a disk of its own, on which so much is left."""
    kept = folder.with_name("kept")
    folder.rename(kept)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(folder)], check=True)
        space = os.statvfs(folder)
        (folder / "filler").write_bytes(b"x" * max(0, space.f_bavail * space.f_frsize - left_kilobytes * 1024))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Killed at random moments


def test_kills_at_random_moments_lose_nothing(tmp_path: Path, own: Cache, project: Project) -> None:
    write_suite(tmp_path, task_of(project, workloads=None, tests=None, environment=None))
    (tmp_path / "script.yaml").write_text(SCRIPT)
    patch = tmp_path / "mine.diff"
    patch.write_bytes(project.patch({"tools.py": GENUINE}))
    controls = ["run", "suite.yaml", "--agent", f"patch:{patch}", "--agent", "patch:noop", "--samples", "3"]
    shell = ["run", "suite.yaml", "--agent", "shell", "--model", "scripted:script.yaml", "--samples", "3"]
    env = {"SHELL_AGENT": "echo 'MINE = 1' >> tools.py; setsid -f sleep 300; sleep 0.2"}
    draw = random.Random()
    kinds = [(controls, PROGRAM), (shell, WITH_SHELL_AGENT)]
    for _ in range(3):
        commands = [
            Running(*words, cwd=tmp_path, cache=own.root, program=program, env=env) for words, program in 2 * kinds
        ]
        for command in commands:
            command.wait_for(": running")
            command.kill_after(draw.uniform(0, 0.5))
        assert not any("Traceback" in command.said for command in commands)
    crashed = 0
    for run in Store(tmp_path / "state").runs():
        before = {store.name: store.read() for store in run.attempts() if (store.folder / "attempt.json").exists()}
        lock = run.lock()
        found = list(recover(run, own, run.events()[0]))
        run.unlock(lock)
        for store, status in found:
            sealed_by_its_own = store.read().recovered_at is None  # and not yet told of: the shell agent calls no model
            assert status.run in ({"completed", "agent_error"} if sealed_by_its_own else {"crashed"})
        crashed += sum(status.run == "crashed" for _, status in found)
        check_whole(run, before)
    assert crashed > 3
    nothing_is_left(own)


def check_whole(run: RunStore, before: dict[str, Attempt]) -> None:
    """Every attempt is sealed with a status; those that were sealed are as they were; no file is torn."""
    for store in run.attempts():
        attempt, status = store.read(), store.status(RULES)
        assert attempt.state == "sealed" and status is not None
        if before.get(store.name, attempt).state == "sealed":
            assert attempt == before.get(store.name, attempt)
        launched = any(t.stage == "running" for t in attempt.transitions)
        assert (status.patch != "missing") == launched
    for file in run.folder.rglob("*.json"):
        json.loads(file.read_bytes())
    for file in run.folder.rglob("*.jsonl"):
        assert not any(isinstance(entry, BadLine) and not entry.torn for entry in read_jsonl(file))
    assert not list(run.folder.rglob("*.tmp"))
