"""An attempt run again from its record: the same agent, sandbox and task, and no provider."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from command_line import call, read_json
from replay_support import change_answer
from shell_agent import Shell, finds
from small_project import METHOD, Project, load_small
from speedproof.agents.registry import INSTALLED
from speedproof.errors import InputError, RecordError
from speedproof.execution import preflight
from speedproof.execution import replay as replaying
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.replay import Replayed, replay_attempt
from speedproof.execution.retrying import Retries
from speedproof.execution.setup import Setup
from speedproof.execution.wire import Wire
from speedproof.execution.work import Audience
from speedproof.gateway.replayed import Difference
from speedproof.journal import AttemptStore, StopCause
from speedproof.journal.events import Event
from speedproof.sandbox import Bubblewrap, HostSandbox, Sandbox
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

ASK = """python - "$@" <<'ASKED'
import json, os, sys, time, urllib.request
messages = []
for text in sys.argv[1:]:
    messages.append({"role": "user", "content": f"{text} {time.time()} in {os.getcwd()}"})
    body = json.dumps({"model": "m", "messages": messages}).encode()
    head = {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["URL"] + "/v1/chat/completions", body, head)
    answer = json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
    messages.append({"role": "assistant", "content": answer})
    print(answer, flush=True)
ASKED
"""
SAY = "format: speedproof/script/1\nturns:\n  - say: I look.\n  - say: I think.\n  - finish: Done.\n"


class Quiet(Audience):
    """Is told, and says nothing."""

    def stage(self, what: str) -> None:
        pass

    def event(self, event: Event) -> None:
        pass

    def judging(self, task: str, what: str) -> None:
        pass


class Place:
    """The small project without workloads and tests, and attempts at it."""

    def __init__(self, folder: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.cache, self.project, self.monkeypatch = folder, cache, project, monkeypatch
        self.state = folder / "state"
        self.sandbox: Sandbox = Bubblewrap()
        self.script = folder / "script.yaml"
        self.limits: dict[str, Any] = {"wall_s": 60, "idle_s": 30}

    def attempt(self, agent: str, script: str = SAY, wire: Wire | None = None) -> AttemptStore:
        """One attempt by a scripted model."""
        self.script.write_text(script)
        loaded = self.suite()
        lane = Lane(
            agent, None if agent == "patch" else f"scripted:{self.script}", "noop" if agent == "patch" else None
        )
        run = execute_run(
            loaded,
            plan_items(loaded, loaded.suite.tasks, [lane]),
            Setup(sandbox=self.sandbox.kind, wire=wire or Wire(), retries=Retries(most=1)),
            state=self.state,
            cache=self.cache,
            method=METHOD,
            settings={},
            audience=Quiet(),
        )
        (store,) = run.attempts()
        self.script.unlink()  # nothing of the model is needed any more
        return store

    def suite(self, **task: Any) -> Any:
        """The suite as it is now."""
        changes = {"workloads": [], "tests": [], "limits": self.limits, **task}
        return load_small(self.folder / "suite", self.project, **changes)

    def shell(self, command: str, *, said: bool = True) -> None:
        """From now on the agent `shell` runs this command, after it has defined the function `ask` where it is used."""
        agent = Shell(f"ask() {{\n{ASK}}}\n{command}", uses_model=said)
        self.monkeypatch.setattr(preflight, "get_agent", finds(agent))
        self.monkeypatch.setattr(replaying, "get_agent", finds(agent))

    def replay(self, store: AttemptStore, keep: Path | None = None) -> Replayed:
        """Replay an attempt."""
        return replay_attempt(store, self.suite(), self.sandbox, self.cache, keep=keep)


@pytest.fixture
def place(tmp_path: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, cache, project, monkeypatch)


@pytest.fixture(autouse=True)
def _nothing_stays(cache: Cache) -> Iterator[None]:
    yield
    assert mounts_below(cache.root) == []
    assert not list((cache.root / "work").glob("*/*"))


def content(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.parametrize("sandbox", [Bubblewrap(), HostSandbox()], ids=["sandbox", "host"])
def test_an_untouched_attempt_shows_no_difference_and_stays_as_it_is(place: Place, sandbox: Sandbox) -> None:
    place.sandbox = sandbox
    place.shell("ask Look. Think. && echo more >> tools.py")
    store = place.attempt("shell")
    before = content(place.state)
    done = place.replay(store, keep=place.folder / "kept")
    assert done.difference is None
    assert (done.recorded_calls, done.replayed_calls, done.stopped_by) == (2, 2, None)
    assert done.attempt == store.name
    assert content(place.state) == before
    kept = AttemptStore(place.folder / "kept")
    assert kept.read().state == "sealed"
    assert kept.log_lines("stdout.log.zst") == store.log_lines("stdout.log.zst") == ["I look.", "I think."]
    assert (kept.folder / "patch.diff").read_bytes() == (store.folder / "patch.diff").read_bytes()


def test_a_record_that_the_disk_refuses_to_keep_is_said_and_no_half_of_it_stays(place: Place, full_disk: Path) -> None:
    place.shell("ask Look. Think. && seq 100000 >> tools.py")
    store = place.attempt("shell")
    with pytest.raises(RecordError, match=r"kept: cannot be written: [\s\S]*No space left on device[\s\S]*--keep"):
        place.replay(store, keep=full_disk / "kept")
    assert list(full_disk.iterdir()) == []


def test_what_an_agent_does_otherwise_is_reported_and_ends_the_replay(place: Place) -> None:
    place.shell("ask Look. Think.; sleep 0.1")
    store = place.attempt("shell")
    place.shell("ask Look. Guess. || sleep 30")
    done = place.replay(store)
    found = done.difference
    assert found is not None
    assert (found.kind, found.call, found.entry, found.where) == ("changed", 2, 2, "entry 2.content")
    assert (found.expected, found.got) == ("Think. ‹time› in /workspace", "Guess. ‹time› in /workspace")
    assert done.seconds < 20


@pytest.mark.parametrize(
    ("asks", "difference"),
    [("Look.", Difference(kind="missing", call=2)), ("Look. Think. Sleep.", Difference(kind="extra", call=2))],
)
def test_fewer_calls_and_more_calls_are_differences(place: Place, asks: str, difference: Difference) -> None:
    place.shell("ask Look. Think.")
    store = place.attempt("shell")
    place.shell(f"ask {asks}")
    assert place.replay(store).difference == difference


def test_an_attempt_that_a_limit_ended_is_over_where_its_record_ends(place: Place) -> None:
    place.limits = {"wall_s": 60, "idle_s": 30, "steps": 2}
    place.shell("ask Look. Think. Sleep.; sleep 30")
    store = place.attempt("shell")
    process = store.read().process
    assert process is not None and process.stopped_by is StopCause.STEPS
    place.limits = {"wall_s": 60, "idle_s": 30}  # what counts is what was in force
    done = place.replay(store)
    assert (done.difference, done.replayed_calls, done.stopped_by) == (None, 2, StopCause.STEPS)


def test_another_version_of_the_agent_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.shell("ask Look.")
    store = place.attempt("shell")
    located = Shell("").locate(lambda _: None)
    monkeypatch.setattr(Shell, "locate", lambda *_: located.__class__("2.0", located.executable, ()))
    done = place.replay(store)
    assert (done.recorded_version, done.version) == ("1.0", "2.0")


def test_what_cannot_be_replayed_is_said_with_what_to_do(place: Place) -> None:
    with pytest.raises(InputError, match="calls no model"):
        place.replay(place.attempt("patch"))
    place.shell("ask Look.")
    with pytest.raises(InputError, match="--no-bodies"):
        place.replay(place.attempt("shell", wire=Wire(bodies=False)))
    store = place.attempt("shell")
    with pytest.raises(InputError, match="exists already"):
        place.replay(store, keep=place.folder)
    with pytest.raises(InputError, match="not what it was"):
        replay_attempt(store, place.suite(instructions="Make it slow.\n"), place.sandbox, place.cache)


def test_the_command_says_what_differs_by_words_json_and_exit_code(place: Place) -> None:
    place.shell("ask Look. Think.")
    item = place.attempt("shell").folder.parent.name
    words = ("replay", item[:6], "--state", place.state)
    same = call(*words, cwd=place.folder, cache=place.cache.root)
    assert same.returncode == 0, same.stderr
    assert "no difference (2 of 2 recorded calls made again" in same.stdout
    place.shell("ask Look. Guess.")
    other = call(*words, "--json", cwd=place.folder, cache=place.cache.root)
    assert other.returncode == 1
    assert Replayed.model_validate(read_json(other.stdout)).difference is not None
    shown = " ".join(call(*words, cwd=place.folder, cache=place.cache.root).stdout.split())
    assert "differs from recorded call 2 at entry 2.content" in shown
    assert "expected Think. ‹time› in /workspace got Guess. ‹time› in /workspace" in shown
    nothing = call("replay", "nothing", "--state", place.state, cwd=place.folder, cache=place.cache.root)
    assert nothing.returncode == 2 and "no attempt matches" in nothing.stderr
    shutil.rmtree(place.folder / "suite")
    gone = call(*words, cwd=place.folder, cache=place.cache.root)
    assert gone.returncode == 2 and "--suite" in gone.stderr


LOOKS = """format: speedproof/script/1
turns:
  - say: I look around.
    run: pwd; ls -la; git log -2; date; mktemp -d; python -c 'import uuid; print(uuid.uuid4())'
  - run: |
      sed -i 's/^    found = \\[\\]$/    return list(dict.fromkeys(items))/' tools.py
      git diff --stat; python -m pytest -p no:cacheprovider tests 2>&1 | tail -3
  - finish: unique() is linear now.
"""


@pytest.mark.agents
@pytest.mark.parametrize("agent", ["codex", "mini", "claude"])
def test_a_real_agent_does_the_same_again_and_with_a_changed_answer_that_is_the_difference(
    place: Place, agent: str
) -> None:
    if agent not in INSTALLED:
        pytest.skip(f"there is no adapter of {agent}")
    place.cache = Cache()  # agents are installed once a machine
    store = place.attempt(agent, LOOKS)
    done = place.replay(store)
    assert done.difference is None
    assert done.replayed_calls == done.recorded_calls >= 3
    assert done.version == done.recorded_version
    change_answer(store.folder, 1, b"I look around.", b"I look elsewhere.")
    found = place.replay(store).difference
    assert found is not None
    assert (found.kind, found.call) == ("changed", 2)
    assert found.entry is not None
    assert "I look around." in (found.expected or "") and "I look elsewhere." in (found.got or "")
