"""A trial: an agent launched once in its sandbox on an empty workspace, through the gateway, outside any run."""

import os
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from speedproof.agents.protocol import Agent, Installation, LaunchContext, Left
from speedproof.diagnosis.facts import ModelCall
from speedproof.execution.launched import Launched
from speedproof.execution.stop import Stop
from speedproof.execution.wire import Wire
from speedproof.gateway import Budget, Gateway, ModelChoice
from speedproof.journal import AttemptStore, CallIntent, CallOutcome, StopCause
from speedproof.journal.attempt import AgentOutcome
from speedproof.sandbox import Box, Finished, Mount, Sandbox
from speedproof.sandbox.box import HOME, MODEL_PORT, WORKSPACE
from speedproof.tasks.models import Limits
from speedproof.workspace.git import git
from speedproof.workspace.reading import read_untrusted
from speedproof.workspace.tree import give_to

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_READ = 10_000


@dataclass(frozen=True)
class Trial:
    """What a trial showed."""

    calls: tuple[ModelCall, ...]
    """Its requests with what came back."""
    wire: str
    """They as recorded: its calls.jsonl."""
    outcome: AgentOutcome | None
    """What the agent says of itself."""
    finished: Finished
    """How its process ended."""
    stopped: StopCause | None
    """The limit that ended it; null when it ended by itself."""
    stderr: tuple[str, ...]
    """Its last lines of standard error."""
    made: str | None
    """Text of the file it was to make; null when it is not there."""
    left_running: int
    """Processes of it that still ran after its end, and were ended then."""


async def hold_trial(
    agent: Agent,
    installation: Installation,
    model: ModelChoice,
    sandbox: Sandbox,
    wire: Wire,
    limits: Limits,
    *,
    prompt: str,
    makes: str,
    folder: Path,
) -> Trial:
    """Launch the agent on an empty repository in `folder` and watch it to its end; `makes` is the file it is to make.

    Raises SandboxError, AgentError, RecordError or OSError when it cannot even be launched.
    """
    tree, home, record = folder / "tree", folder / "home", folder / "record"
    for place in (home, record):
        place.mkdir()
    git("init", "--quiet", str(tree))
    mounts = (Mount(tree, WORKSPACE, True), Mount(home, HOME, True), *installation.mounts)
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(Gateway(patience=wire.patience))
        budget = Budget(steps=limits.steps)
        session = gateway.open(record / "calls.jsonl", model, budget, wire.rules(model))
        port = await gateway.listen(session) if sandbox.kind == "none" else MODEL_PORT
        launch = agent.launch(
            LaunchContext(
                prompt=prompt,
                workspace=sandbox.as_seen(WORKSPACE, mounts),
                home=sandbox.as_seen(HOME, mounts),
                model=model.model,
                base_url=f"http://127.0.0.1:{port}",
                token=session.token,
                side_model=next(iter(wire.side_models), None),
                parameters=wire.configured,
            )
        )
        session.watch(launch.configured)
        launch.write_files(home)
        for place in (tree, home):
            give_to(place, sandbox.uid)
        stdin = folder / "stdin"
        stdin.write_bytes(launch.stdin)
        box = Box(
            argv=launch.argv,
            env={"HOME": HOME, "LANG": "C.UTF-8", "TMPDIR": "/tmp", "PATH": _PATH, **launch.env},
            mounts=mounts,
            interpreters=installation.interpreters,
        )
        launched = Launched(
            sandbox, gateway, session, limits, Stop(), name=f"trial-{folder.name}", written=(tree, home)
        )
        ran = await launched.run(box, stdin, record)
        left_running = end_all_with(session.token) + ((ran.bounds and ran.bounds.left_running) or 0)
        if ran.failure is not None:
            raise ran.failure
    store = AttemptStore(record)
    calls, recorded = wire_of(folder)
    made = read_untrusted(tree / makes, _READ)
    left = Left(home=home, stdout=store.log_lines("stdout.log.zst"), stderr=store.log_lines("stderr.log.zst"))
    return Trial(
        calls=calls,
        wire=recorded,
        outcome=agent.outcome(left),
        finished=ran.finished,
        stopped=ran.stopped,
        stderr=tuple(line.replace(session.token, "TOKEN") for line in left.stderr if line.strip())[-3:],
        made=None if made is None else made.decode(errors="replace"),
        left_running=left_running,
    )


def wire_of(folder: Path) -> tuple[tuple[ModelCall, ...], str]:
    """The calls of a trial in `folder`, and they as recorded: what it has made so far, however it ended."""
    store = AttemptStore(folder / "record")
    lines, _ = store.calls()
    outcomes = {line.call: line for _, line in lines if isinstance(line, CallOutcome)}
    calls = tuple(
        ModelCall(line.call, line, outcomes.get(line.call), number)
        for number, line in lines
        if isinstance(line, CallIntent)
    )
    file = store.folder / "calls.jsonl"
    return calls, file.read_text(encoding="utf-8") if file.exists() else ""


def end_all_with(token: str) -> int:
    """End every process that has this key of an attempt in its environment; how many there were."""
    ended = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if token.encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                ended += 1
        except OSError:
            continue  # it ended, or is another user's
    return ended
