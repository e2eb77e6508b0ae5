"""The preflight: what is broken takes its own items out, what is missing is said, and the doctor says the same."""

import asyncio
import base64
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from small_project import BASE, METHOD, Project, make_project, task_of, write_suite
from speedproof.agents.registry import get_agent
from speedproof.analysis import spending
from speedproof.errors import AgentError, InputError, LeakError, SandboxError, SpeedproofError, TaskError
from speedproof.execution import enforced
from speedproof.execution.doctor import examine
from speedproof.execution.enforced import require_enforced
from speedproof.execution.engine import execute_run, resume_run
from speedproof.execution.finding import Finding
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.preflight import Ready, make_ready
from speedproof.execution.probe import FILE, Probed, probe
from speedproof.execution.progress import progress_of
from speedproof.execution.setup import Setup
from speedproof.execution.wire import Wire
from speedproof.execution.work import Audience
from speedproof.gateway import Budget, Patience, resolve_model
from speedproof.journal import CallIntent, RunStore
from speedproof.journal.events import AttemptBegan, RunLimit
from speedproof.sandbox import Bubblewrap, HostSandbox
from speedproof.sandbox.box import Box, Started
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache, silent
from test_agents_command import TEMPLATE, written

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the sandbox shows no Python of the system"),
]
PATCH = Lane("patch", None, "expert")
SCRIPT = "format: speedproof/script/1\nturns:\n  - say: Hello.\n"
QUICK = Wire(patience=Patience(most_tries=1))
NO_START = """\
format: speedproof/agent/1
name: absent
protocol: chat
argv: [python3, -c, "import sys; sys.exit('no configuration in ' + sys.argv[1])", "{prompt_file}"]
"""
NO_TOOLS = """\
format: speedproof/agent/1
name: plain
protocol: chat
argv: [python3, /opt/agent/plain.py, "{base_url}", "{token}", "{prompt_file}"]
mounts: {/opt/agent: plain}
"""
PLAIN = """\
import json, sys, urllib.error, urllib.request
tools = [{"type": "function", "function": {"name": "look_at_the_sky", "parameters": {"type": "object"}}}]
body = {"model": "m", "messages": [{"role": "user", "content": "go"}], "tools": tools}
head = {"Authorization": "Bearer " + sys.argv[2], "Content-Type": "application/json"}
request = urllib.request.Request(sys.argv[1] + "/v1/chat/completions", json.dumps(body).encode(), head)
try:
    print(urllib.request.urlopen(request).read())
except urllib.error.HTTPError as error:
    print(error)
"""


class Place:
    """A suite of small tasks, agents by template, and a cache that remembers no probe."""

    def __init__(self, folder: Path, cache: Cache, project: Project) -> None:
        self.folder, self.cache, self.project = folder, cache, project
        self.heard: list[str] = []
        self.small = f"command:{written(folder)}"
        self.script = f"scripted:{self.write('script.yaml', SCRIPT)}"
        self.tasks = [self.task("one")]

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def task(self, name: str, **changes: Any) -> dict[str, Any]:
        """A task that is quick to qualify."""
        return task_of(self.project, name=name, **{"tests": None, "workloads": None, "environment": None, **changes})

    def ready(self, *lanes: Lane, wire: Wire = QUICK, **options: Any) -> Ready:
        loaded = load_suite(write_suite(self.folder / "suite", *self.tasks))
        items = plan_items(loaded, loaded.suite.tasks, lanes)
        return make_ready(loaded, items, Bubblewrap(), self.cache, METHOD, wire=wire, told=self.heard.append, **options)

    def doctor(self, *agents: str, models: tuple[str, ...] = (), **options: Any) -> dict[str, Finding]:
        """The doctor's findings that are not well."""
        suite = write_suite(self.folder / "suite", *self.tasks)
        found = examine(
            suite, agents, models, (), sandbox="bubblewrap", agent_paths={}, wire=QUICK, told=self.heard.append,
            **{"base_url": None, **options}
        )  # fmt: skip
        return {f.what: f for f in found if not f.ok}


@pytest.fixture
def place(tmp_path: Path, cache: Cache, project: Project, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SPEEDPROOF_CACHE", str(cache.root))
    shutil.rmtree(cache.root / "probes", ignore_errors=True)
    return Place(tmp_path, cache, project)


def why(ready: Ready) -> list[str]:
    return [e.why for e in ready.excluded.values()]


# What is broken


def test_a_broken_task_takes_its_own_items_out_and_the_others_stay(place: Place) -> None:
    place.tasks.append(place.task("two", build="echo no compiler; exit 7"))
    ready = place.ready(PATCH, Lane("patch", None, "noop"))
    assert len(ready.excluded) == 2 and len(set(ready.excluded.values())) == 1
    (said, _) = why(ready)
    assert said == "task two: the build command exited with code 7 on base:\nno compiler"
    assert all(e.hint for e in ready.excluded.values())
    assert set(ready.tasks) == {"one", "two"}
    assert any(line.startswith("task two: the build command exited") for line in place.heard)
    assert list(place.doctor("patch:expert")) == ["task two"]


def test_a_task_that_cannot_be_fetched_does_not_keep_the_others_from_it(place: Place) -> None:
    place.tasks.insert(0, place.task("gone", source={"git": "no/such/place", "expert": "x"}))
    ready = place.ready(PATCH)
    assert ["does not exist" in said for said in why(ready)] == [True]
    assert set(ready.tasks) == {"one"}


def test_when_strict_or_when_nothing_is_left_the_first_that_is_broken_is_raised(place: Place) -> None:
    place.tasks.append(place.task("two", build="echo no compiler; exit 7"))
    with pytest.raises(TaskError, match="task two: the build command"):
        place.ready(PATCH, strict=True)
    place.tasks = [place.task("gone", source={"git": "no/such/place", "expert": "x"}), place.tasks[1]]
    with pytest.raises(SpeedproofError, match="does not exist"):
        place.ready(PATCH)


def test_an_agent_that_does_not_start_is_left_out_with_its_own_words(place: Place) -> None:
    bad = f"command:{place.write('bad.yaml', NO_START)}"
    ready = place.ready(Lane(bad, place.script), Lane(place.small, place.script))
    (excluded,) = ready.excluded.values()
    assert "the agent does not start: exit code 1, before any model call: no configuration in" in excluded.why
    assert excluded.hint == f"speedproof agents check {bad}"
    with pytest.raises(AgentError, match="does not start"):
        place.ready(Lane(bad, place.script))
    (name,) = place.doctor(bad)
    assert name == f"{bad} · our script", "the doctor probes with our script where no model is named"


def test_an_agent_whose_program_is_missing_is_left_out(place: Place) -> None:
    bad = f"command:{place.write('bad.yaml', TEMPLATE.replace('program}', 'gone}'))}"
    ready = place.ready(Lane(bad, place.script), PATCH)
    assert ["what is mounted at /opt/agent does not exist" in said for said in why(ready)] == [True]


def test_an_answer_in_an_agent_s_reach_takes_that_agent_out_of_that_task(place: Place, tmp_path: Path) -> None:
    place.tasks.append(place.task("other", source=_other_source(tmp_path)))
    place.write("program/notes.py", "    first_seen_at = found.setdefault\n        first_seen_at(item, item)\n")
    ready = place.ready(Lane(place.small, place.script), PATCH)
    assert ["the agent could find the answer" in said for said in why(ready)] == [True]
    place.tasks.pop()
    with pytest.raises(LeakError):
        place.ready(Lane(place.small, place.script))


def _other_source(folder: Path) -> dict[str, str]:
    other = make_project(folder / "other", expert={"tools.py": BASE.replace("item not in", "not item in")})
    return {"git": str(other.path), "expert": other.expert}


# Probes of real models


class Provider(BaseHTTPRequestHandler):
    """Chat Completions: what a model does follows from its name."""

    asked: list[str] = []
    ending = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model, tool = body["model"], any(m["role"] == "tool" for m in body["messages"])
        type(self).asked.append(model)
        call = {"id": "c", "type": "function"}
        call["function"] = {"name": "bash", "arguments": json.dumps({"command": f"echo ready > {FILE}"})}  # type: ignore[assignment]
        message = {"role": "assistant", "content": "Done."} | ({} if tool else {"tool_calls": [call]})
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 0}}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if tool else "tool_calls"}
        answers: dict[str, tuple[int, Any]] = {
            "locked": (401, _error("invalid_api_key", "Incorrect API key provided.")),
            "unknown": (404, _error("model_not_found", "The model does not exist.")),
            "empty": (429, _error("insufficient_quota", "You exceeded your current quota.")),
            "busy": (503, _error("overloaded", "Overloaded, try later.")),
        }
        if model == "fixed" and "temperature" in body:
            answers["fixed"] = (400, _error("unsupported_parameter", "Unsupported parameter: 'temperature'."))
        good = {"id": "x", "object": "chat.completion", "created": 1, "model": model}
        if model == "slow" and tool:
            type(self).asked.append("no answer")
            type(self).ending.wait(60)
        status, answer = answers.get(model, (200, good | {"choices": [choice], "usage": usage}))
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code}}


@pytest.fixture
def provider() -> Iterator[str]:
    Provider.asked.clear()
    Provider.ending.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        Provider.ending.set()
        server.shutdown()
        thread.join()


def test_models_that_answer_no_call_are_left_out_each_with_the_provider_s_reason(place: Place, provider: str) -> None:
    models = ("good", "locked", "unknown", "empty")
    ready = place.ready(*(Lane(place.small, f"own/{m}") for m in models), base_url=provider)
    locked, unknown, empty = ready.excluded.values()
    assert "own/locked: no model call is answered: HTTP 401 (invalid_api_key): Incorrect API key" in locked.why
    assert "HTTP 404 (model_not_found): The model does not exist." in unknown.why
    assert unknown.hint == "Correct the model's name."
    assert "You exceeded your current quota." in empty.why and "credit" in empty.hint
    assert f"{place.small} · own/good: 2 of 2 calls answered; 220 tokens, cost unknown" in place.heard
    assert Provider.asked.count("good") == 2, "one tool round trip"
    place.ready(Lane(place.small, "own/good"), base_url=provider)
    assert Provider.asked.count("good") == 4, "a real model is asked each time"
    bad = place.doctor(place.small, models=("own/good", "own/locked"), base_url=provider)
    assert list(bad) == [f"{place.small} · own/locked"]


def test_a_pin_that_the_model_refuses_is_found_before_the_run(place: Place, provider: str) -> None:
    pinned = replace(QUICK, pins={"": {"temperature": 0}})
    with pytest.raises(AgentError, match=r"HTTP 400.*Unsupported parameter: 'temperature'"):
        place.ready(Lane(place.small, "own/fixed"), base_url=provider, wire=pinned)
    assert not place.ready(Lane(place.small, "own/fixed"), base_url=provider).excluded


def test_a_provider_that_is_busy_now_is_said_and_left_to_the_retries(place: Place, provider: str) -> None:
    ready = place.ready(Lane(place.small, "own/busy"), base_url=provider)
    assert not ready.excluded
    assert any("called the model: 0 of 1 calls answered: Overloaded" in text for _, text in ready.notes)


def test_a_provider_that_is_not_there_is_found_before_the_run(place: Place) -> None:
    with pytest.raises(AgentError, match="no model call is answered: HTTP 502"):
        place.ready(Lane(place.small, "own/x"), base_url="http://127.0.0.1:9/v1")


def test_mistakes_are_refused_before_anything_is_done(place: Place, provider: str) -> None:
    place.tasks = [place.task("gone", source={"git": "no/such/place", "expert": "x"})]
    with pytest.raises(InputError, match="no known price"):
        place.ready(Lane(place.small, "own/good"), base_url=provider, wire=replace(QUICK, budget=Budget(cost_usd=1)))
    with pytest.raises(InputError, match="names the model 'b', which nothing calls"):
        place.ready(Lane(place.small, "own/good"), base_url=provider, wire=replace(QUICK, pins={"b": {"seed": 1}}))
    with pytest.raises(SpeedproofError, match="does not exist"):
        place.ready(Lane(place.small, "own/good"), base_url=provider)
    assert place.heard and Provider.asked == [], "nothing is spent where nothing can be attempted"


# What probes cost


class Silent(Audience):
    """Hears everything, shows nothing."""


@pytest.fixture
def run_of(place: Place, provider: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunStore]:
    """Runs the suite on lanes that call the provider, at a cent a call that it answers."""
    monkeypatch.setattr("speedproof.gateway.models.list_price", lambda usage, *_, **__: 0.01)

    def run(*lanes: Lane, **changes: Any) -> RunStore:
        loaded = load_suite(write_suite(place.folder / "suite", *place.tasks))
        setup = Setup(**{"base_url": provider, "wire": QUICK, **changes})
        return execute_run(
            loaded, plan_items(loaded, loaded.suite.tasks, lanes), setup, state=place.folder / "state",
            cache=place.cache, method=METHOD, settings={}, audience=Silent(),
        )  # fmt: skip

    return run


def test_what_probes_spent_belongs_to_the_run_that_paid_for_them_and_to_no_attempt(
    place: Place, run_of: Callable[..., RunStore]
) -> None:
    lanes = (Lane(place.small, "own/good"), Lane(place.small, "own/locked"))
    first = run_of(*lanes)
    found = spending(first)
    probed = {r.name: r.spent for r in found.lines if r.by == "probes"}
    good, locked = (probed.pop(f"{place.small} · own/{name}") for name in ("good", "locked"))
    assert not probed
    assert (good.calls, good.cost_usd, good.usage.total) == (2, 0.02, 220)
    assert (locked.calls, locked.cost_usd, locked.usage_unknown_calls, locked.refused_calls) == (1, None, 1, 1)
    (attempt,) = first.attempts()
    lines, _ = attempt.calls()
    of_attempt = sum(isinstance(line, CallIntent) for _, line in lines)
    assert of_attempt == 2 and found.total.spent.calls == 2 + 1 + of_attempt
    assert [r.spent.calls for r in found.lines if r.by == "agent"] == [of_attempt]
    assert (found.probes.calls, found.probes.cost_usd, found.total.spent.cost_usd) == (3, 0.02, 0.04)
    told = progress_of(first)
    assert (told.calls, told.cost_usd, told.cost_unknown_calls) == (5, 0.04, 1), "status says the same"
    second = spending(run_of(*lanes, Lane(place.small, place.script)))
    assert (second.probes.calls, second.probes.cost_usd) == (3, 0.02), "a real model is asked again, and paid for again"
    assert sum(r.by == "probes" for r in second.lines) == 2, "our own script costs nothing"
    assert spending(first) == found


def test_the_run_s_limit_counts_what_its_probes_spent(place: Place, run_of: Callable[..., RunStore]) -> None:
    place.tasks.append(place.task("two", instructions="Faster."))
    wire = replace(QUICK, budget=Budget(cost_usd=0.035))
    run = run_of(Lane(place.small, "own/good"), wire=wire)
    events, _ = run.events()
    assert sum(isinstance(event, AttemptBegan) for event in events) == 1, "two cents for the probe, two for the first"
    assert [event.limit for event in events if isinstance(event, RunLimit)] == ["cost"]
    assert spending(run).total.spent.cost_usd == 0.04


def test_what_a_probe_spent_is_kept_when_the_run_is_not_taken_up_again(
    place: Place, run_of: Callable[..., RunStore]
) -> None:
    run = run_of(Lane(place.small, "own/locked"), PATCH)
    assert spending(run).probes.calls == 1
    loaded = load_suite(place.folder / "suite/suite.yaml")
    with pytest.raises(AgentError, match="no model call is answered"):
        resume_run(run, loaded, cache=place.cache, audience=Silent())
    assert spending(run).probes.calls == 2
    assert [path.name for path in sorted((run.folder / "probes").iterdir())] == ["001.jsonl", "002.jsonl"]
    assert progress_of(run).calls == 2


def test_what_a_probe_had_spent_when_it_was_broken_off_is_told(place: Place, provider: str) -> None:
    adapter = get_agent(place.small, cache=place.cache)
    model = resolve_model("own/slow", provider, {})
    spent: list[Probed] = []

    async def interrupted() -> None:
        installation = adapter.locate(silent)
        held = probe(adapter, installation, model, Bubblewrap(), QUICK, place.cache, spent.append)
        task = asyncio.create_task(held)
        while "no answer" not in Provider.asked:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    (cut,) = spent
    assert (cut.calls, cut.usage.total, cut.usage_unknown_calls, cut.cost_unknown_calls) == (2, 110, 1, 2)
    assert cut.wire.count('"kind":"intent"') == 2


# Probes with our own script


def test_with_a_scripted_model_an_agent_is_probed_once_a_day_and_again_when_it_has_changed(place: Place) -> None:
    probed = f"{place.small}: one tool round trip with our script"
    other = f"scripted:{place.write('other.yaml', SCRIPT.replace('Hello', 'Bye'))}"
    place.ready(Lane(place.small, place.script), Lane(place.small, other))
    place.ready(Lane(place.small, place.script))
    assert place.heard.count(probed) == 1
    (place.folder / "program/more.py").write_text("")
    place.ready(Lane(place.small, place.script))
    assert place.heard.count(probed) == 2
    place.ready(Lane(place.small, place.script), wire=replace(QUICK, pins={"": {"seed": 1}}))
    assert place.heard.count(probed) == 3


def test_what_was_broken_is_looked_at_again(place: Place) -> None:
    bad = f"command:{place.write('bad.yaml', NO_START)}"
    for _ in range(2):
        with pytest.raises(AgentError, match="does not start"):
            place.ready(Lane(bad, place.script))
    assert place.heard.count(f"{bad}: one tool round trip with our script") == 2


def test_an_agent_without_tools_that_we_know_or_that_calls_nothing_is_not_left_out(place: Place) -> None:
    (place.folder / "plain").mkdir()
    (place.folder / "plain/plain.py").write_text(PLAIN)
    plain = f"command:{place.write('plain.yaml', NO_TOOLS)}"
    idles = TEMPLATE.replace('BEHAVIOUR: ""', "BEHAVIOUR: idles")
    idle = f"command:{place.write('idle.yaml', idles)}"
    ready = place.ready(Lane(plain, place.script), Lane(idle, place.script))
    assert not ready.excluded
    said = {f"{what}: {text}" for what, text in ready.notes}
    assert any(plain in line and "no shell tool is offered" in line for line in said)
    assert any(idle in line and "0 of 0 calls answered" in line for line in said)
    assert not place.doctor(plain, idle)


# What is missing


def test_missing_workloads_and_tests_are_said_and_leave_nothing_out(place: Place) -> None:
    place.tasks = [place.task("one")]
    ready = place.ready(PATCH)
    assert not ready.excluded
    said = [text for what, text in ready.notes if what == "task one"]
    assert len(said) == 2
    assert any("no workload" in text for text in said) and any("no tests" in text for text in said)
    assert all(f"task one: {text}" in place.heard for text in said)
    assert place.doctor("patch:expert") == {}


def test_a_task_that_needs_a_gpu_is_left_out_where_there_is_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speedproof.evaluation.measuring.devices.list_devices", list)
    place.tasks = [place.task("one", resources={"gpus": 1}), place.task("two", instructions="Faster.")]
    ready = place.ready(PATCH)
    (excluded,) = ready.excluded.values()
    assert "task one needs 1 graphics processor, this machine has none" in excluded.why
    assert list(place.doctor("patch:expert")) == ["task one"]


def test_a_number_of_jobs_that_memory_does_not_hold_is_said_and_refused_when_strict(place: Place) -> None:
    place.tasks = [place.task("one", resources={"memory_mb": 900_000})]
    assert not place.ready(PATCH, jobs=2).excluded
    assert any("2 attempts of 900000 MiB do not fit" in line for line in place.heard)
    with pytest.raises(SpeedproofError, match="2 attempts of 900000 MiB"):
        place.ready(PATCH, jobs=2, strict=True)
    assert list(place.doctor("patch:expert", jobs=2)) == ["memory"]


# Logins


def _login(home: Path, ends_in_s: float) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + ends_in_s}).encode()).decode().rstrip("=")
    home.mkdir(exist_ok=True)
    (home / "auth.json").write_text(json.dumps({"tokens": {"access_token": f"h.{claims}.s", "account_id": "a"}}))


@pytest.fixture
def speaks_responses(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], str]:
    """An agent that calls nothing, so that no login is used; its login ends in so many seconds."""
    monkeypatch.setenv("CODEX_HOME", str(place.folder / "login"))

    def agent(ends_in_s: float) -> str:
        _login(place.folder / "login", ends_in_s)
        text = NO_START.replace("import sys; sys.exit('no configuration in ' + sys.argv[1])", "pass")
        return f"command:{place.write('idle.yaml', text.replace('protocol: chat', 'protocol: responses'))}"

    return agent


def test_a_login_that_ends_before_the_run_is_said_and_one_that_has_ended_leaves_its_items_out(
    place: Place, speaks_responses: Callable[[float], str]
) -> None:
    lanes = (Lane(speaks_responses(7200), "openai-login/gpt-5"), PATCH)
    ready = place.ready(*lanes, expected_s=3600)
    assert not ready.excluded and not [text for _, text in ready.notes if "login" in text]
    ready = place.ready(*lanes, expected_s=36_000)
    assert not ready.excluded
    (said,) = [text for what, text in ready.notes if what == "model openai-login/gpt-5"]
    assert said.startswith("WARNING: its login ends in 2.0 h, before the run, which is expected to take 10.0 h")
    speaks_responses(-10)
    ready = place.ready(*lanes)
    assert ["this login expired at" in text for text in why(ready)] == [True]
    assert list(place.doctor(lanes[0].agent, models=("openai-login/gpt-5",))) == ["model openai-login/gpt-5"]


# The sandbox


class Leaky(Bubblewrap):
    """Leaves out what encloses."""

    def start(self, box: Box, info_fd: int | None = None) -> Started:
        started = super().start(box, info_fd)
        argv = [word for word in started.argv if word not in {"--unshare-net", "--unshare-pid"}]
        tree = argv.index("/workspace") - 2
        argv[tree] = "--bind"
        return replace(started, argv=argv)


def test_what_gets_through_the_sandbox_is_named(cache: Cache) -> None:
    assert "in vain" in require_enforced(Bubblewrap(), cache)
    with pytest.raises(SandboxError) as raised:
        require_enforced(Leaky(), cache)
    for through in ("reached the host's loopback", "wrote to /workspace", "saw "):
        assert through in raised.value.what
    assert Leaky not in enforced._HELD
    assert "none" in require_enforced(HostSandbox(), cache)
