"""Tracing: a task's commands run once more under coverage.py, and what the traced processes executed.

The tracer is an environment of its own, beside the task's, found first on PYTHONPATH: tracer/startup starts it in every
Python process, those that others start included. tracer/executed.py reads, inside the sandbox, what they left; only a
small answer comes out.
"""

import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from speedproof.errors import EnvironmentFailed
from speedproof.evaluation.arms import ArmTree, writable
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import run_command
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import OUT, WORKSPACE
from speedproof.workspace.environment import BuiltEnvironment, build_environment
from speedproof.workspace.reading import read_untrusted
from speedproof.workspace.tree import give_to

REQUIREMENTS = ("coverage==7.10.7; python_version >= '3.9'", "coverage==7.6.1; python_version < '3.9'")
"""Requirements of the tracer's environment."""
MOST_DATA = 256 << 20
"""Bytes that the traced processes of one kind of command together may leave."""
MOST_PROCESSES = 2000
"""Processes that may leave data."""
LARGEST_ANSWER = 16 << 20
"""Bytes of the answer that may come out of the sandbox."""
READING_TIMEOUT_S = 300.0

_TRACER = Path(__file__).parent / "tracer"
_ENVIRONMENT_INSIDE = "/opt/coverage"
_TRACER_INSIDE = "/opt/tracer"
_SETTINGS_INSIDE = "/opt/tracer.ini"
_REQUEST_INSIDE = "/opt/tracer.json"
_SETTINGS = f"""\
[run]
data_file = {OUT}/data
parallel = true
concurrency =
    thread
    multiprocessing
include = {WORKSPACE}/*
"""


class Untraced(Exception):
    """What is executed cannot be told; the text says why."""


@dataclass(frozen=True)
class Answer:
    """The answer of tracer/executed.py: file by file, in the order of the request."""

    statements: list[list[int] | None]
    executed: list[list[list[int]] | None]


_ANSWER = TypeAdapter(Answer)


def tracer_of(prepared: PreparedTask) -> BuiltEnvironment:
    """The tracer's environment for the task's Python. Raises Untraced."""
    if prepared.environment is None or prepared.task.environment is None:
        raise Untraced("the task names no Python environment")
    try:
        return build_environment(REQUIREMENTS, prepared.task.environment.python, prepared.cache)
    except EnvironmentFailed as error:
        raise Untraced(f"coverage.py cannot be installed for Python {prepared.environment.version}") from error


class Trace:
    """What the processes of one kind of command left."""

    def __init__(self, scratch: Path, name: str, sandbox: Sandbox) -> None:
        self.folder = scratch / name
        self.folder.mkdir()
        give_to(self.folder, sandbox.uid)
        self.roots: list[str] = []
        """Where the tree stood, as those processes saw it."""

    def require_little(self) -> None:
        """Raises Untraced where the traced code left other data than coverage.py would, or too much."""
        left = size = 0
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.name.startswith("data."):
                    continue
                info = entry.stat(follow_symlinks=False)
                left, size = left + 1, size + info.st_size
                if left > MOST_PROCESSES or size > MOST_DATA or not stat.S_ISREG(info.st_mode):
                    raise Untraced("the traced code left other data than the tracer's, or too much of it")


@dataclass(frozen=True)
class Session:
    """Running the commands of a task under the tracer, on one arm."""

    prepared: PreparedTask
    arm: ArmTree
    sandbox: Sandbox
    tracer: BuiltEnvironment
    scratch: Path

    def run(
        self, command: str, timeout_s: float, trace: Trace, more: dict[str, str], keep: tuple[int, ...] = ()
    ) -> None:
        """Run one command on a throwaway copy. How it ends is of no matter here."""
        workspace = self.arm.workspace(self.scratch / f"copy-{secrets.token_hex(4)}")
        try:
            mounts = (
                writable(workspace),
                Mount(trace.folder, OUT, writable=True),
                *self._own_mounts(),
                *self.prepared.mounts(),
            )
            trace.roots.append(self.sandbox.as_seen(WORKSPACE, mounts))
            settings = self.scratch / "settings.ini"
            settings.write_text(self.sandbox.as_seen(_SETTINGS, mounts))
            variables = self.prepared.variables()
            packages = next(self.tracer.folder.glob("lib/python*/site-packages")).relative_to(self.tracer.folder)
            first = (f"{_TRACER_INSIDE}/startup", f"{_ENVIRONMENT_INSIDE}/{packages}")
            box = Box(
                argv=("/bin/sh", "-c", command),
                env={
                    **variables,
                    **more,
                    "PYTHONPATH": ":".join((*first, variables["PYTHONPATH"])),
                    "COVERAGE_PROCESS_START": _SETTINGS_INSIDE,
                },
                mounts=(*mounts, Mount(settings, _SETTINGS_INSIDE)),
                interpreters=self.prepared.interpreters,
                keep_fds=keep,
            )
            run_command(self.sandbox, box, timeout_s, self.prepared.task.limits)
        finally:
            workspace.remove()

    def answer(self, changed: dict[bytes, list[int]], traces: tuple[Trace, Trace]) -> Answer:
        """What the traced processes executed of the changed lines. Raises Untraced."""
        for trace in traces:
            trace.require_little()
        out = self.scratch / "out"
        out.mkdir()
        give_to(out, self.sandbox.uid)
        # Writable, although only read: to coverage.py its data are databases.
        data = tuple(Mount(trace.folder, f"/opt/{trace.folder.name}", writable=True) for trace in traces)
        mounts = (Mount(self.arm.folder, WORKSPACE), Mount(out, OUT, writable=True), *data, *self._own_mounts())
        asked = {
            "root": self.sandbox.as_seen(WORKSPACE, mounts),
            "files": [[os.fsdecode(path), lines] for path, lines in changed.items()],
            "traces": [
                [self.sandbox.as_seen(mount.target, mounts), list(dict.fromkeys(trace.roots))]
                for mount, trace in zip(data, traces, strict=True)
            ],
        }
        request = self.scratch / "request.json"
        request.write_text(json.dumps(asked))
        script = f"{_TRACER_INSIDE}/executed.py"
        box = Box(
            argv=(f"{_ENVIRONMENT_INSIDE}/bin/python", "-I", script, _REQUEST_INSIDE, f"{OUT}/executed.json"),
            env={"HOME": "/tmp", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            mounts=(*mounts, Mount(request, _REQUEST_INSIDE)),
            interpreters=(self.tracer.prefix,),
        )
        done = run_command(self.sandbox, box, READING_TIMEOUT_S, self.prepared.task.limits)
        content = read_untrusted(out / "executed.json", LARGEST_ANSWER + 1) if done.ok else None
        if content is None or len(content) > LARGEST_ANSWER:
            raise Untraced(f"what was traced cannot be read: {(done.tail(1) or done.how)[:200]}")
        try:
            found = _ANSWER.validate_json(content)
        except ValidationError as error:
            raise Untraced("what was traced cannot be read: the answer is none") from error
        lengths = {len(found.statements), *(len(e) for e in found.executed if e is not None)}
        if len(found.executed) != len(traces) or lengths != {len(changed)}:
            raise Untraced("what was traced cannot be read: it answers another question")
        return found

    def _own_mounts(self) -> tuple[Mount, ...]:
        return Mount(self.tracer.folder, _ENVIRONMENT_INSIDE), Mount(_TRACER, _TRACER_INSIDE)
