"""Bad input and bad machines: a clear error that says what to do, exit code 2, and nothing begun that looks whole."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from command_line import call, run
from small_project import BASE, EXPERT, TESTS, Project, git, make_project, task_of, write_suite
from speedproof.journal import Store
from speedproof.workspace.cache import Cache

PATCH = ("--agent", "patch:expert")


@pytest.fixture
def refused(tmp_path: Path, cache: Cache) -> Callable[..., str]:
    """Run a command that must be refused; what it says on stderr."""

    def refuse(*words: object) -> str:
        before = sorted(p.name for p in tmp_path.iterdir())
        done = call(*words, cwd=tmp_path, cache=cache.root)
        assert done.returncode == 2, done
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        assert sorted(p.name for p in tmp_path.iterdir()) == before, "nothing is begun"
        return done.stderr

    return refuse


def wrong_source(project: Project, **source: Any) -> dict[str, Any]:
    return task_of(project, source={"git": str(project.path), "expert": project.expert, **source})


SUITES: Mapping[str, tuple[Callable[[Project], dict[str, Any]], str]] = {
    "unknown expert": (lambda p: wrong_source(p, expert="0123456789" * 4), "commit '01234567890123456789"),
    "unknown branch": (lambda p: wrong_source(p, expert="no-such"), "commit 'no-such' is not in the repository"),
    "unknown base": (lambda p: wrong_source(p, base="ffffffff"), "commit 'ffffffff' is not in the repository"),
    "no parent": (lambda p: wrong_source(p, expert=p.base), "has no parent"),
    "same commits": (lambda p: wrong_source(p, base=p.expert), "base and expert hold the same files"),
    "no repository": (lambda p: wrong_source(p, git="no/such/place"), "the repository 'no/such/place' does not exist"),
    "no git repository": (lambda p: wrong_source(p, git="/usr/share"), "the repository /usr/share cannot be read"),
    "no such file": (
        lambda p: task_of(p, workloads=[{"name": "w", "command": "true", "files": ["gone.py"]}]),
        "'gone.py' does not exist",
    ),
    "no such python": (lambda p: task_of(p, environment={"python": "3.99"}), "no Python 3.99 on this machine"),
    "silent workload": (
        lambda p: task_of(p, workloads=[{"name": "w", "command": "echo nothing to say"}]),
        "the workload on base: ended before it said start (exit code 0); it printed:\nnothing to say",
    ),
    "hanging workload": (
        lambda p: task_of(p, workloads=[{"name": "w", "command": "sleep 600", "timeout_s": 0.5}]),
        "the workload on base: did not say start within its limit",
    ),
    "missing tests": (
        lambda p: task_of(p, tests=[{"command": "echo no tests here; exit 4"}]),
        "the test command exited with code 4 on base and left no results at $SPEEDPROOF_JUNIT:\nno tests here",
    ),
    "failing build": (
        lambda p: task_of(p, build="echo no compiler; exit 7"),
        "the build command exited with code 7 on base:\nno compiler",
    ),
}


@pytest.mark.parametrize("what", SUITES)
def test_a_task_that_cannot_work_is_refused_before_anything_is_begun(
    refused: Callable[..., str], tmp_path: Path, project: Project, what: str
) -> None:
    task, says = SUITES[what]
    write_suite(tmp_path, task(project))
    said = refused("run", "suite.yaml", *PATCH)
    assert says in said
    assert "  next: " in said


def test_a_base_that_fails_its_own_tests_names_them(refused: Callable[..., str], tmp_path: Path) -> None:
    failing = TESTS + "\n\ndef test_that_never_passed():\n    assert False\n"
    project = make_project(tmp_path / "failing", base={"tools.py": BASE, "tests/test_tools.py": failing})
    write_suite(tmp_path, task_of(project))
    said = refused("run", "suite.yaml", *PATCH)
    assert "1 tests fail on the base commit itself: tests.test_tools::test_that_never_passed" in said
    assert "known_failures" in said


def test_a_task_whose_expert_computes_something_else_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    project = make_project(tmp_path / "wrong", expert={"tools.py": EXPERT.replace("list(found)", "sorted(found)")})
    write_suite(tmp_path, task_of(project, tests=None))
    assert "the outputs of long differ from base's with seed" in refused("run", "suite.yaml", *PATCH)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"name: a\ntasks:\n  - name: [\n", "suite.yaml:4: broken YAML"),
        (b"name: a\ntasks:\n  - name: b\n    instructions: x\n", "suite.yaml:3: tasks.0.source: Field required"),
        (b"name: a\ntasks: []\nbogus: 1\n", "suite.yaml:"),
        (b"- a list\n", "suite.yaml:1: a suite is a mapping"),
        (b"", "suite.yaml:1: a suite is a mapping"),
        (b"name: a\n\xff\xfe: 1\n", "suite.yaml:2: not UTF-8 text"),
        (b"name: a\ntasks: &a [*a]\n", "suite.yaml:"),
        (b"\x00\x01\x02", "suite.yaml:"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_broken_suite_is_named_with_its_line(
    refused: Callable[..., str], tmp_path: Path, text: bytes, says: str, command: str
) -> None:
    (tmp_path / "suite.yaml").write_bytes(text)
    assert says in refused(command, "suite.yaml", *PATCH)


FLAGS: list[tuple[tuple[str, ...], str]] = [
    (("--agent", "kodex"), "there is no agent 'kodex'\n  next: one of trae, codex"),
    (("--agent", "codex"), "the agent codex needs a model\n  next: --model"),
    (("--agent", "codex", "--model", "gpt-5"), "the model 'gpt-5' names no provider"),
    (("--agent", "codex", "--model", "acme/large"), "the provider 'acme' is not known"),
    (("--agent", "codex", "--model", "openai/gpt-5"), "OPENAI_API_KEY is not set\n  next: export OPENAI_API_KEY"),
    (("--agent", "codex", "--model", "scripted:gone.yaml"), "gone.yaml: the script does not exist"),
    (("--agent", "codex", "--model", "scripted:broken.yaml"), "broken.yaml:3: turns.0"),
    (("--agent", "codex", "--model", "acme/x", "--base-url", "ftp://x"), "the base URL must begin with http"),
    (("--agent", "patch:gone.diff"), "gone.diff: the patch does not exist"),
    (("--agent", "patch"), "the patch agent needs a patch"),
    ((*PATCH, "--task", "other"), "no task is named 'other'; there are: unique"),
    ((*PATCH, *PATCH), "the plan holds the same item twice"),
    ((*PATCH, "--sandbox", "chroot"), "there is no sandbox 'chroot'\n  next: --sandbox bubblewrap"),
    ((*PATCH, "--agent-path", "trae"), "--agent-path 'trae' is no NAME=DIR"),
    (
        (*PATCH, "--agent-path", "nobody=."),
        "no agent 'nobody' is found by a path\n  next: --agent-path with one of trae",
    ),
    ((*PATCH, "--set", "temperature"), "--set 'temperature' is no NAME=VALUE\n  next: --set temperature=0"),
    ((*PATCH, "--pin", "model=x"), "'model' cannot be pinned\n  next: pin a parameter"),
    ((*PATCH, "--pin", "other:seed=1"), "a pin names the model 'other', which nothing calls; there are: none\n  next:"),
    ((*PATCH, "--side-model", ""), "a side model has no name\n  next: --side-model"),
    ((*PATCH, "--max-cost", "0"), "a cost limit of $0 lets no call be made\n  next: --max-cost"),
    ((*PATCH, "--max-calls", "0"), "--max-calls"),
    ((*PATCH, "--tries", "0"), "--tries"),
    ((*PATCH, "--longest-wait", "-1"), "--longest-wait"),
    ((*PATCH, "--samples", "0"), "--samples"),
    ((*PATCH, "--max-blocks", "3"), "--max-blocks"),
    ((*PATCH, "--bogus"), "No such option"),
    ((), "there is no agent"),
]


@pytest.mark.parametrize(("flags", "says"), FLAGS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else None)
def test_a_wrong_flag_is_refused(
    refused: Callable[..., str], tmp_path: Path, project: Project, flags: tuple[str, ...], says: str
) -> None:
    write_suite(tmp_path, task_of(project, tests=None, workloads=None, environment=None))
    (tmp_path / "broken.yaml").write_text("format: speedproof/script/1\nturns:\n  - sing: la\n")
    assert says in refused("run", "suite.yaml", *flags)


@pytest.mark.parametrize("command", ["report", "evaluate", "explain"])
def test_without_records_that_is_said(refused: Callable[..., str], tmp_path: Path, command: str) -> None:
    words = ["explain", "abc"] if command == "explain" else [command]
    assert "state: there are no runs here\n  next: speedproof run" in refused(*words)
    (tmp_path / "state" / "runs").mkdir(parents=True)
    assert "no run is called" in refused(*words)


@pytest.mark.parametrize(
    "words", [("plan", "gone.yaml", *PATCH), ("run", "gone.yaml", *PATCH), ("doctor", "gone.yaml")]
)
def test_a_suite_that_is_not_there_is_named(refused: Callable[..., str], words: tuple[str, ...]) -> None:
    assert "gone.yaml: the file does not exist\n  next: check the path" in refused(*words)


def test_lists_of_commits_that_are_none_are_refused(
    refused: Callable[..., str], tmp_path: Path, project: Project
) -> None:
    (tmp_path / "commits.txt").write_text(f"{project.expert}\nnot-a-commit\n")
    assert "commits.txt:2: 'not-a-commit' is not a commit id" in refused(
        "suite", "from-commits", project.path, "commits.txt"
    )
    (tmp_path / "commits.txt").write_text(f"{project.expert}\n{'0' * 40}\n")
    assert "commits.txt:2: " in refused("suite", "from-commits", project.path, "commits.txt")
    assert "gone.txt: the file does not exist" in refused("suite", "from-commits", project.path, "gone.txt")
    (tmp_path / "commits.txt").write_text(f"{project.expert}\n")
    (tmp_path / "there.yaml").write_text("mine\n")
    said = refused("suite", "from-commits", project.path, "commits.txt", "-o", "there.yaml")
    assert "there.yaml: the file exists already" in said
    assert (tmp_path / "there.yaml").read_text() == "mine\n"


# Damaged records


@pytest.fixture
def ran(tmp_path: Path, cache: Cache, project: Project) -> Iterator[Path]:
    """A folder with a suite and one finished run of it."""
    write_suite(tmp_path, task_of(project, tests=None, workloads=None, environment=None))
    done = call("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=cache.root)
    assert done.returncode == 0, done.stderr
    yield tmp_path


def test_damaged_records_are_named_and_never_taken_for_whole(
    ran: Path, refused: Callable[..., str], cache: Cache
) -> None:
    store = Store(ran / "state").run("latest")
    assert "no attempt matches 'zzz'" in refused("explain", "zzz")
    assert "no run is called '1999'" in refused("report", "1999")
    manifest = store.folder / "run.json"
    whole = manifest.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"\xff\xfe", b"{}"):
        manifest.write_bytes(damaged)
        for words in (("report",), ("evaluate",)):
            assert f"{manifest.relative_to(ran)}: damaged record" in refused(*words)
    manifest.write_bytes(whole)
    suite = ran / "suite.yaml"
    text = suite.read_text()
    suite.unlink()
    assert "suite.yaml: the suite of this run is gone\n  next: give its new place with --suite" in refused(
        "evaluate", "--again"
    )
    suite.write_text(text.replace("Make it fast", "Make it faster"))
    assert "is not what it was when run" in refused("evaluate", "--again")
    (attempt,) = store.attempts()
    file = attempt.folder / "attempt.json"
    file.write_bytes(file.read_bytes()[:500])
    shown = call("report", cwd=ran, cache=cache.root)
    assert shown.returncode == 0 and "Traceback" not in shown.stderr
    assert "unreadable record" in shown.stdout
    told = call("explain", attempt.folder.parent.name, cwd=ran, cache=cache.root)
    assert told.returncode == 0 and "attempt.json" in told.stdout and "damaged" in told.stdout


def test_a_run_that_another_process_works_on_is_left_alone(ran: Path, refused: Callable[..., str]) -> None:
    store = Store(ran / "state").run("latest")
    lock = store.lock()
    try:
        assert f"another process works on run {store.id}" in refused("evaluate", "--again")
    finally:
        store.unlock(lock)


# Bad machines


def only(folder: Path, *programs: str) -> str:
    """A PATH that holds these programs alone."""
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    return str(folder)


def test_no_bubblewrap_says_how_to_get_it(tmp_path: Path, cache: Cache, project: Project) -> None:
    write_suite(tmp_path, task_of(project))
    path = only(tmp_path / "bin", "git")
    done = run("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=cache.root, PATH=path)
    assert done.returncode == 2
    assert "bubblewrap is not installed\n  next: apt-get install bubblewrap (or --sandbox none" in done.stderr
    assert not (tmp_path / "state").exists()
    found = call("doctor", cwd=tmp_path, cache=cache.root, PATH=path)
    assert found.returncode == 2
    assert "apt-get install bubblewrap" in found.stdout


def test_no_git_says_how_to_get_it(tmp_path: Path, cache: Cache, project: Project) -> None:
    write_suite(tmp_path, task_of(project))
    path = only(tmp_path / "bin", "bwrap")
    done = call("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=tmp_path / "cache", PATH=f"{path}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "git is not installed" in done.stderr


@pytest.fixture
def closed() -> str:
    """The address of a package index that nobody serves."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"http://127.0.0.1:{port}/simple"


@pytest.mark.parametrize("what", ["sdists", "requirements"])
def test_no_network_is_said_so(tmp_path: Path, project: Project, closed: str, what: str) -> None:
    versions = {"base": {"version": "1.0"}, "expert": {"version": "2.0"}}
    source = {"source": {"pypi": {"package": "netaddr", **versions}}} if what == "sdists" else {}
    write_suite(tmp_path, task_of(project, tests=None, workloads=None, **source))
    env = {"PIP_INDEX_URL": closed, "UV_DEFAULT_INDEX": closed, "UV_CACHE_DIR": str(tmp_path / "uv"), "NO_PROXY": "*"}
    env |= {"UV_HTTP_TIMEOUT": "2", "UV_HTTP_RETRIES": "0", "UV_FIND_LINKS": "", "PIP_FIND_LINKS": ""}
    done = call("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=tmp_path / "cache", **env)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert closed.removesuffix("/simple") in done.stderr
    assert "  next: check the " in done.stderr
    assert not (tmp_path / "state").exists()


def test_names_that_are_no_utf_8_are_refused(tmp_path: Path, cache: Cache) -> None:
    for words in ((b"gone-\xff.yaml",), (b"suite.yaml", b"--state", b"\xff")):
        done = call("plan", *map(os.fsdecode, words), *PATCH, cwd=tmp_path, cache=cache.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "is no UTF-8 text\n  next: rename" in done.stderr


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path, cache: Cache, project: Project) -> None:
    write_suite(tmp_path, task_of(project, tests=None, workloads=None, environment=None))
    (tmp_path / "state").write_text("a file, not a folder")
    done = call("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=cache.root)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "cannot create the run" in done.stderr and "state" in done.stderr


def test_the_repository_of_a_task_is_never_written_to(tmp_path: Path, cache: Cache, project: Project) -> None:
    before = git(project.path, "for-each-ref") + git(project.path, "status", "--porcelain")
    write_suite(tmp_path, task_of(project, tests=None, workloads=None, environment=None))
    assert call("run", "suite.yaml", *PATCH, cwd=tmp_path, cache=cache.root).returncode == 0
    assert git(project.path, "for-each-ref") + git(project.path, "status", "--porcelain") == before
