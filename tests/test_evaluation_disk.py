"""Code that is built, tested or warmed up and writes without end: it fails, on record, and harms nothing else."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_project import BASE, EXPERT, GENUINE, TESTS, Project, judge_of, make_project, prepare_small
from speedproof.errors import RecordError, TaskError
from speedproof.evaluation import disk
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.running import run_command
from speedproof.execution.host import host_facts
from speedproof.journal import Check, Evaluation, Method
from speedproof.sandbox import Box, Bubblewrap, HostSandbox, Mount, bubblewrap
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

LIMITS = {"disk_mb": 20, "files": 2000}
TOO_MUCH = "wrote more than its 20 MiB to the disk (limits.disk_mb)"
TOO_MANY = "made more than its 2,000 files (limits.files)"
FILL = """
def fill(path, removed=False):
    with open(path, "wb") as file:
        if removed:
            os.unlink(path)
        while True:
            file.write(bytes(1 << 20))
            time.sleep(0.001)


def litter(folder):
    for number in range(10**9):
        open(f"{folder}/litter-{number}", "wb").close()
"""


def writes(what: str, while_: str) -> str:
    """The genuine patch, which on import does this too, where that variable is set."""
    return f"import os\nimport time\n\n{FILL}\n\nif {while_!r} in os.environ:\n    {what}\n\n\n{GENUINE}"


IN_TESTS = "SPEEDPROOF_JUNIT"
IN_WORKLOADS = "SPEEDPROOF_FD"


@pytest.fixture(autouse=True)
def _nothing_stays(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(disk, "LOOK_S", 0.2)
    yield
    assert mounts_below(cache.root) == []
    assert not list((cache.root / "work").glob("*/*"))


def check(evaluation: Evaluation, name: str) -> Check:
    (found,) = (c for c in evaluation.checks if c.name == name)
    return found


def failed(evaluation: Evaluation, name: str, words: str) -> None:
    """Checks that the evaluation says so, and fails by it."""
    found = check(evaluation, name)
    assert found.result == "fail" and words in found.message, found
    assert (evaluation.verdict.correctness, evaluation.verdict.proven) == ("fail", False)
    assert found.message in evaluation.verdict.reasons
    assert evaluation.diagnosis is None, "the task is sound"


@pytest.mark.sandbox
def test_tests_that_write_without_end_fail_their_own_patch_and_no_other(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    hostile = {
        "into the tree": writes("fill('big')", IN_TESTS),
        "beside the results": writes("fill('/out/big')", IN_TESTS),
        "into a removed file": writes("fill('big', removed=True)", IN_TESTS),
        "many files": writes("litter('/workspace')", IN_TESTS),
    }
    patches = {name: project.patch({"tools.py": code}) for name, code in {**hostile, "genuine": GENUINE}.items()}
    began = time.monotonic()
    with judge_of(prepare_small(tmp_path, project, cache, workloads=None, limits=LIMITS)) as judge:
        judged = judge.judge(patches)
    assert time.monotonic() - began < 55, "their own limit of time is 60 s"
    for name in hostile:
        failed(judged[name], "tests", TOO_MANY if name == "many files" else TOO_MUCH)
    assert check(judged["genuine"], "tests").result == "pass"


@pytest.mark.sandbox
@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "$HOME"])
def test_what_lies_in_memory_is_full_before_the_host_is(
    folder: str, tmp_path: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "TMPFS_BYTES", 16 << 20)
    code = writes(f"fill(os.path.expandvars('{folder}/big'))", IN_TESTS)
    prepared = prepare_small(tmp_path, project, cache, workloads=None, limits=LIMITS)
    with judge_of(prepared) as judge:
        judged = judge.judge(
            {"patch": project.patch({"tools.py": code}), "genuine": project.patch({"tools.py": GENUINE})}
        )
    failed(judged["patch"], "tests", "3 of 3 tests that pass on base and expert fail")
    assert check(judged["genuine"], "tests").result == "pass"


@pytest.mark.sandbox
def test_code_under_test_can_write_nowhere_else(tmp_path: Path, cache: Cache, project: Project) -> None:
    look = (
        "own = ('/workspace', '/out', '/tmp', '/dev/shm', '/home/agent', '/proc')\n"
        "    at = [f for f, _, _ in os.walk('/') if not f.startswith(own) and os.access(f, os.W_OK)]\n"
        "    assert not at, at"
    )
    code = writes(look, IN_TESTS)
    with judge_of(prepare_small(tmp_path, project, cache, workloads=None, limits=LIMITS)) as judge:
        found = judge.judge({"patch": project.patch({"tools.py": code})})["patch"]
    assert check(found, "tests").result == "pass", check(found, "tests").message


@pytest.mark.sandbox
def test_a_build_that_writes_without_end_fails_its_patch(tmp_path: Path, cache: Cache) -> None:
    files = {"tools.py": BASE, "tests/test_tools.py": TESTS, "build.sh": "true\n"}
    project = make_project(tmp_path / "project", files, {"tools.py": EXPERT})
    endless = "while :; do head -c 1000000 /dev/zero; done > big\n"
    prepared = prepare_small(tmp_path / "s", project, cache, workloads=None, build="sh build.sh", limits=LIMITS)
    with judge_of(prepared) as judge:
        found = judge.judge({"patch": project.patch({"tools.py": GENUINE, "build.sh": endless})})["patch"]
        arms = list((judge.scratch / "arms").iterdir())
    failed(found, "build", f"the build command {TOO_MUCH} on patch-")
    assert {arm.name for arm in arms} == {"base", "expert"}, "what it wrote is gone before the next command runs"


@pytest.mark.sandbox
def test_a_workload_that_writes_without_end_while_it_is_warmed_up_fails_its_patch(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    code = writes("fill('big')", IN_WORKLOADS)
    patches = {"endless": project.patch({"tools.py": code}), "genuine": project.patch({"tools.py": GENUINE})}
    with judge_of(prepare_small(tmp_path, project, cache, tests=None, limits=LIMITS)) as judge:
        judged = judge.judge(patches)
    failed(judged["endless"], "outputs", f"with the patch, the workload {TOO_MUCH}")
    assert judged["endless"].measurement is None
    assert check(judged["genuine"], "outputs").result == "pass"


@pytest.mark.sandbox
def test_code_that_writes_without_end_only_where_it_is_traced_is_ended_too(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    code = writes("fill('big')", "COVERAGE_PROCESS_START")
    prepared = prepare_small(tmp_path, project, cache, workloads=None, limits=LIMITS)
    began = time.monotonic()
    with Judge(prepared, Bubblewrap(), Method(looks=(12,)), host_facts(), coverage=True) as judge:
        found = judge.judge({"patch": project.patch({"tools.py": code})})["patch"]
    assert check(found, "tests").result == "pass"
    assert found.coverage is None and check(found, "coverage").result == "unknown"
    assert time.monotonic() - began < 150, "its limit of time is 180 s"


@pytest.mark.sandbox
def test_a_base_whose_tests_write_too_much_is_a_broken_task_and_nothing_of_it_is_remembered(
    tmp_path: Path, cache: Cache
) -> None:
    files = {"tools.py": writes("fill('big')", IN_TESTS), "tests/test_tools.py": TESTS}
    project = make_project(tmp_path / "project", files, {"tools.py": EXPERT})
    with judge_of(prepare_small(tmp_path / "s", project, cache, workloads=None, limits=LIMITS)) as judge:
        remembered = set((cache.root / "tests").glob("[!.]*"))
        with pytest.raises(TaskError, match=r"the test command wrote more than its 20 MiB .* on base") as caught:
            judge.qualify()
        assert set((cache.root / "tests").glob("[!.]*")) == remembered
    assert caught.value.kind == "base_broken"


# One command


def command(script: str, folder: Path) -> Box:
    return Box(("/bin/sh", "-c", script), env={"PATH": "/usr/bin:/bin"}, mounts=(Mount(folder, "/workspace", True),))


def test_what_stands_there_when_a_command_has_ended_counts_too(tmp_path: Path) -> None:
    script = "head -c 30000000 /dev/zero > big"
    done = run_command(HostSandbox(), command(script, tmp_path), 30, Limits(disk_mb=20))
    assert (done.ok, done.timed_out, done.finished.exit_code) == (False, False, 0)
    assert done.how == TOO_MUCH
    more = run_command(HostSandbox(), command(script, tmp_path), 30, Limits(disk_mb=20))
    assert more.ok, "what stood there before does not"
    (tmp_path / "big").unlink()
    assert run_command(HostSandbox(), command(script, tmp_path), 30, Limits(disk_mb=None)).ok


def test_a_full_disk_is_the_machine_s_fault_and_says_what_was_written(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        box = command("head -c 49000000 /dev/zero > big; sleep 60", small)
        began = time.monotonic()
        with pytest.raises(RecordError, match=r"no space left on device: \d MiB are free .* after 4\d MiB") as caught:
            run_command(HostSandbox(), box, 50, Limits())
        assert "limits.disk_mb" in caught.value.hint
        assert time.monotonic() - began < 30
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_removed_file_of_another_disk_is_not_counted(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if os.statvfs(shared).f_blocks == os.statvfs(tmp_path).f_blocks:
        pytest.skip("they are one disk here")
    script = f"exec 3> {shared}/removed-$$; rm {shared}/removed-$$; head -c 30000000 /dev/zero >&3; sleep 1"
    assert run_command(HostSandbox(), command(script, tmp_path), 30, Limits(disk_mb=20)).ok
