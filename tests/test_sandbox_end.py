"""How attempts end: nothing of them lives on, and what they leave to be read cannot hurt who reads it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe_agent import ProbeAgent, Source, attempt, free_of_mounts, make_source, prepare, running
from speedproof.errors import SandboxError
from speedproof.execution.preflight import choose_sandbox
from speedproof.journal import StopCause
from speedproof.sandbox import Box, Bubblewrap, Confined, HostSandbox
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache

sandboxed = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
TESTS = Path(__file__).parent
NOBODY = 65534


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return make_source(tmp_path_factory.mktemp("source") / "repository")


@pytest.fixture
def argument() -> Iterator[str]:
    """A number of seconds that only this test sleeps."""
    number = f"{time.time_ns() % 10**9 + 10**9}.25"
    yield number
    for pid in running(number):
        os.kill(pid, signal.SIGKILL)


def _ended(argument: str, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while running(argument) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(argument)


@pytest.mark.parametrize(
    "start",
    [
        "sleep {n} &",
        "setsid sleep {n} &",
        "nohup setsid sh -c 'sleep {n} & sleep {n} & exec sleep {n}' >/dev/null 2>&1 &",
        "(trap '' TERM INT HUP; (setsid sh -c 'trap \"\" TERM; exec sleep {n}' &) ) &",
    ],
    ids=["background", "session", "daemons", "deaf double fork"],
)
class TestProcessesLeftBehind:
    pytestmark = sandboxed

    def test_are_gone_when_the_agent_has_ended(
        self, start: str, argument: str, source: Source, cache: Cache, tmp_path: Path
    ) -> None:
        command = start.format(n=argument) + " sleep 0.1; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
        done = attempt(ProbeAgent(command), prepare(source, cache), Bubblewrap(), tmp_path)
        assert f"sleep {argument}" in done.stdout, "it ran"
        assert running(argument) == []
        assert done.facts.process is not None and done.facts.process.exit_code == 0

    def test_are_gone_when_the_agent_was_stopped(
        self, start: str, argument: str, source: Source, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("speedproof.execution.launched.GRACE_S", 0.2)
        command = "trap '' TERM; " + start.format(n=argument) + f" sleep {argument}; sleep {argument}"
        prepared = prepare(source, cache, Limits(wall_s=0.5))
        done = attempt(ProbeAgent(command), prepared, Bubblewrap(), tmp_path)
        assert done.facts.process is not None and done.facts.process.stopped_by is StopCause.WALL
        assert running(argument) == []
        assert done.facts.patch is not None and done.facts.patch.size == 0


def _harness(source: Source, folder: Path, command: str) -> str:
    """A program that makes one attempt and prints its facts."""
    return (
        "import sys\nfrom pathlib import Path\n"
        "from probe_agent import ProbeAgent, Source, attempt, prepare\n"
        "from speedproof.sandbox import Bubblewrap\nfrom speedproof.workspace.cache import Cache\n"
        f"folder = Path({str(folder)!r})\n"
        f"source = Source(Path({str(source.path)!r}), {source.base!r}, {source.expert!r})\n"
        f"done = attempt(ProbeAgent({command!r}), prepare(source, Cache(folder / 'cache')), Bubblewrap(), folder)\n"
        "print(done.facts.model_dump_json())\nprint(done.stdout)\nprint(done.stderr, file=sys.stderr)\n"
    )


class TestAHarnessThatIsKilled:
    pytestmark = sandboxed

    @pytest.fixture
    def harness(self, argument: str, source: Source, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
        command = f"setsid sleep {argument} & echo begun > /workspace/made.txt; sleep {argument}"
        env = {**os.environ, "PYTHONPATH": str(TESTS)}
        process = subprocess.Popen([sys.executable, "-c", _harness(source, tmp_path, command)], env=env)
        deadline = time.monotonic() + 20
        while len(running(argument)) < 2 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        assert len(running(argument)) >= 2, "the agent did not start"
        yield process
        process.kill()
        process.wait()
        free_of_mounts(tmp_path)

    def test_takes_everything_inside_with_it(self, harness: subprocess.Popen[bytes], argument: str) -> None:
        harness.kill()
        harness.wait()
        assert _ended(argument, within_s=5)

    def test_leaves_its_record_open_and_readable(
        self, harness: subprocess.Popen[bytes], argument: str, tmp_path: Path
    ) -> None:
        harness.kill()
        harness.wait()
        facts = json.loads(next((tmp_path / "state").rglob("attempt.json")).read_text())
        assert facts["state"] == "open"
        assert facts["transitions"][-1]["stage"] == "running"
        assert facts["sandbox"]["kind"] == "bubblewrap"


class TestWhoeverStartsIt:
    pytestmark = sandboxed

    @pytest.fixture
    def folder(self, source: Source) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="speedproof-nobody-"))
        shutil.copytree(source.path, folder / "repository")
        folder.chmod(0o755)
        yield folder
        subprocess.run(["rm", "-rf", str(folder)], check=True)

    def test_a_person_without_privileges_gets_the_same_isolation(self, source: Source, folder: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("not started by root: every other test here runs without privileges already")
        python = _python_for_anybody()
        command = (
            "id -u; touch /x /etc/x /usr/x /dev/x; unshare --user true; cat /etc/shadow; "
            f"grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ls {folder}; git log --all --oneline | wc -l; "
            "chmod 000 pkg; echo new > made.txt; chmod 000 made.txt"
        )
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(folder)], check=True)
        copied = Source(folder / "repository", source.base, source.expert)
        done = subprocess.run(
            [python, "-B", "-c", _harness(copied, folder, command)],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": _python_path()},
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
        )
        if "uid map" in done.stderr or "namespace" in done.stderr:
            pytest.skip("this machine does not let people make user namespaces")
        assert done.returncode == 0, done.stderr
        facts, *said = done.stdout.splitlines()
        record = json.loads(facts)
        assert said == ["63999", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "1"]
        assert record["sandbox"]["host_uid"] == NOBODY
        assert record["sandbox"]["network"] == "none" and record["sandbox"]["own_pids"]
        assert record["patch"]["files"] == ["made.txt"], "what the agent locked away is opened again"
        assert record["error"] is None
        for refused in ("'/x'", "'/etc/x'", "'/usr/x'", "'/dev/x'", "unshare failed", "/etc/shadow: No such file"):
            assert refused in done.stderr, refused


def _python_for_anybody() -> str:
    """An interpreter of our version that nobody in particular may run, with our packages readable."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            done = subprocess.run(
                [candidate, "-B", "-c", "import speedproof.execution.attempt, probe_agent"],
                env={"PYTHONPATH": _python_path()},
                cwd="/",
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
            )
        except OSError:
            continue
        if done.returncode == 0:
            return candidate
    pytest.skip(f"no {version} that an unprivileged user can run with these packages")


def _python_path() -> str:
    import speedproof

    packages = [p for p in sys.path if p.endswith("site-packages")]
    return ":".join([str(TESTS), str(Path(speedproof.__file__).parents[1]), *packages])


class TestWithoutASandbox:
    def test_the_record_says_so(self, source: Source, cache: Cache, tmp_path: Path) -> None:
        agent = ProbeAgent("pwd; echo $HOME; env | cut -d= -f1 | sort | tr '\\n' ' '; echo x > made.txt")
        done = attempt(agent, prepare(source, cache), HostSandbox(), tmp_path)
        facts = done.facts.sandbox
        assert facts is not None
        assert (facts.kind, facts.network, facts.own_pids) == ("none", "host", False)
        assert facts.host_uid == os.geteuid()
        assert done.facts.patch is not None and done.facts.patch.files == ("made.txt",)
        workspace, home, names = done.stdout.splitlines()
        assert workspace.startswith(str(cache.root)) and home.startswith(str(cache.root))
        assert "PYTEST_CURRENT_TEST" not in names, "the environment is not inherited either way"

    def test_it_is_never_chosen_for_the_user(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SandboxError, match="bubblewrap is not installed") as raised:
            choose_sandbox("bubblewrap")
        assert "apt-get install bubblewrap" in raised.value.hint
        assert "--sandbox none" in raised.value.hint
        assert choose_sandbox("none").kind == "none"


class TestWhatTheAgentLeaves:
    pytestmark = sandboxed

    @pytest.mark.parametrize(
        "make", ["ln -s /etc/passwd {f}", "mkfifo {f}", "mkdir {f}", "ln -s /dev/zero {f}", "true"], ids=str
    )
    def test_a_trajectory_that_is_no_plain_file_neither_blocks_nor_leads_out(
        self, make: str, source: Source, cache: Cache, tmp_path: Path
    ) -> None:
        agent = ProbeAgent(make.format(f="$HOME/t.json") + "; echo x > made.txt", left="t.json")
        done = attempt(agent, prepare(source, cache), Bubblewrap(), tmp_path)
        assert done.facts.patch is not None and done.facts.patch.files == ("made.txt",)
        assert done.facts.trajectory is None
        assert not (done.store.folder / "trajectory.json").exists()

    def test_endless_output_is_cut_in_its_middle(self, source: Source, cache: Cache, tmp_path: Path) -> None:
        agent = ProbeAgent("echo first; yes some text 2>/dev/null | head -c 60000000; echo last; echo one >&2")
        done = attempt(agent, prepare(source, cache), Bubblewrap(), tmp_path)
        lines = done.store.log_lines("stdout.log.zst")
        assert (lines[0], lines[-1]) == ("first", "last")
        assert sum(line.startswith("[speedproof: ") and "bytes are left out here" in line for line in lines) == 1
        assert sum(len(line) + 1 for line in lines) < 30_000_000
        assert done.stderr == "one"

    def test_a_home_full_of_traps_is_removed(self, source: Source, cache: Cache, tmp_path: Path) -> None:
        command = (
            "cd $HOME; mkfifo a; ln -s / root; mkdir -p b/c; touch b/c/d; chmod 000 b/c b; "
            "i=0; while [ $i -lt 210 ]; do mkdir deep-deep-deep-deep; cd deep-deep-deep-deep; i=$((i+1)); done"
        )
        done = attempt(ProbeAgent(command), prepare(source, cache), Bubblewrap(), tmp_path)
        assert done.facts.state == "sealed" and done.facts.error is None
        assert not list((cache.root / "work").glob("attempt-*"))


@pytest.mark.parametrize(
    ("command", "exit_code", "number"),
    [
        ("exit 3", 3, None),
        ("exit 144", 144, None),  # Gemini CLI, after HTTP 400
        ("exit 147", 147, None),
        ("exit 173", 173, None),
        ("kill -TERM $$", None, signal.SIGTERM),
        ("kill -KILL $$", None, signal.SIGKILL),
        ("kill -SEGV $$", None, signal.SIGSEGV),
    ],
)
@pytest.mark.parametrize("sandbox", [pytest.param("bubblewrap", marks=sandboxed), "none"])
def test_a_high_exit_code_is_no_signal(sandbox: str, command: str, exit_code: int | None, number: int | None) -> None:
    with Path(os.devnull).open("w") as nothing:
        box = Box(("/bin/sh", "-c", command), env={"PATH": "/usr/bin:/bin"}, cwd="/")
        finished = Confined(choose_sandbox(sandbox), box, stdout=nothing, stderr=nothing).wait()
    assert (finished.exit_code, finished.signal) == (exit_code, number)
