"""An agent that is a script: whatever it does, it does as a real agent would, through `run_attempt`."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from small_project import git
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left
from speedproof.evaluation.prepared import PreparedTask
from speedproof.execution.attempt import run_attempt
from speedproof.execution.preflight import Ready
from speedproof.execution.stop import Stop
from speedproof.gateway import Gateway, ModelChoice, resolve_model
from speedproof.journal import Attempt, AttemptStore, ItemPlan, RunStore, Status
from speedproof.journal.attempt import AgentOutcome
from speedproof.sandbox import Mount, Sandbox
from speedproof.tasks.leak import answer_of
from speedproof.tasks.models import GitSource, Limits, Task
from speedproof.tasks.source import fetch
from speedproof.workspace.cache import Cache, Progress, silent

PYTHON = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
"""The interpreter inside."""

BASE = {
    "pkg/__init__.py": "",
    "pkg/slow.py": (
        "def total(numbers):\n    result = 0\n    for number in numbers:\n        result += number\n    return result\n"
    ),
    "README.md": "A package.\n",
}
EXPERT = {
    "pkg/slow.py": (
        "from itertools import accumulate as _running_total_of\n\n\n"
        "def total(numbers):\n"
        "    remembered_partial_sums = list(_running_total_of(numbers))\n"
        "    if not remembered_partial_sums: return 0\n"
        "    return remembered_partial_sums[-1]\n"
    )
}


@dataclass(frozen=True)
class Source:
    """A repository as a user has it: the expert's commit on main, tagged, in reflogs, a stash, a loose future."""

    path: Path
    base: str
    expert: str

    @property
    def secrets(self) -> list[str]:
        """What nobody inside may find: ids of all commits but base, and the expert's lines."""
        commits = git(self.path, "rev-list", "--all", "--reflog").decode().split()
        lines = [line.strip() for line in EXPERT["pkg/slow.py"].splitlines() if len(line.strip()) >= 20]
        return [c for c in commits if c != self.base] + [line for line in lines if line != "def total(numbers):"]


def make_source(path: Path) -> Source:
    """Two commits and all that git hides around them."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet")
    write_files(path, BASE)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "-m", "The base")
    base = git(path, "rev-parse", "HEAD").decode().strip()
    write_files(path, EXPERT)
    git(path, "commit", "--quiet", "--all", "-m", "Make the total eleven times faster")
    expert = git(path, "rev-parse", "HEAD").decode().strip()
    git(path, "tag", "-a", "v2", "-m", "faster")
    git(path, "branch", "future")
    (path / "pkg/slow.py").write_text("# even later\n")
    git(path, "stash", "--quiet")
    return Source(path, base, expert)


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write each text under its path."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def prepare(
    source: Source, cache: Cache, limits: Limits | None = None, instructions: str = "Make it fast."
) -> PreparedTask:
    """The task of a source, without environment, workloads or tests."""
    task = Task(
        name="probe",
        source=GitSource(git=str(source.path), expert=source.expert),
        instructions=instructions,
        limits=limits or Limits(wall_s=60),
    )
    commits = fetch(task, source.path, cache, silent)
    answer = answer_of(commits.repository, commits.base_tree, commits.expert_tree, (commits.expert,))
    return PreparedTask(task, "digest", commits, None, None, answer, cache)


@dataclass
class ProbeAgent:
    """Runs a shell command, or a Python script, in the place of an agent."""

    command: str = ""
    python: str = ""
    uses_model: bool = True
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    left: str | None = None
    """A file under home to be taken for the trajectory."""
    name: str = "probe"
    protocol: Literal["chat", "responses", "none"] = "chat"

    def locate(self, progress: Progress) -> Installation:
        return Installation("1", Path("/bin/sh"), self.mounts, (Path(sys.base_prefix),))

    def launch(self, context: LaunchContext) -> Launch:
        if self.python:
            return Launch(
                argv=(PYTHON, "-I", f"{context.home}/probe.py"), env=self.env, files={"probe.py": self.python}
            )
        return Launch(argv=("/bin/sh", "-c", self.command), env=self.env)

    def outcome(self, left: Left) -> AgentOutcome | None:
        return None

    def trajectory(self, left: Left) -> Path | None:
        return left.home / self.left if self.left else None


@dataclass(frozen=True)
class Attempted:
    """A sealed attempt."""

    store: AttemptStore
    status: Status

    @property
    def facts(self) -> Attempt:
        return self.store.read()

    @property
    def stdout(self) -> str:
        return "\n".join(self.store.log_lines("stdout.log.zst"))

    @property
    def stderr(self) -> str:
        return "\n".join(self.store.log_lines("stderr.log.zst"))


def attempt(agent: ProbeAgent, prepared: PreparedTask, sandbox: Sandbox, folder: Path) -> Attempted:
    """One attempt of `agent`, recorded under `folder`/state, its model a script."""
    script = folder / "script.yaml"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("format: speedproof/script/1\nturns:\n  - finish: Done.\n")
    model: ModelChoice = resolve_model(f"scripted:{script}", None, {})
    run = RunStore(folder / "state" / "runs" / "20240101-000000-abcdef")
    run.folder.mkdir(parents=True, exist_ok=True)
    ready = Ready(
        sandbox,
        sandbox.probe(),
        prepared.cache,
        tasks={prepared.task.name: prepared},
        installations={agent.name: agent.locate(silent)},
        agents={agent.name: agent},
        models={model.asked: model},
    )
    item = ItemPlan(
        id="0123456789ab", task=prepared.task.name, task_digest="digest", agent=agent.name, model=model.asked, sample=1
    )

    async def live() -> tuple[AttemptStore, Status]:
        async with Gateway() as gateway:
            return await run_attempt(run.new_attempt(item.id), item, ready, gateway, Stop())

    return Attempted(*asyncio.run(live()))


def running(argument: str) -> list[int]:
    """Host ids of processes with `argument` among their own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in arguments:
            found.append(int(folder.name))
    return found


def free_of_mounts(folder: Path) -> None:
    """Unmount what a killed harness left below `folder`."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in points:
        if point.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", point], check=True)
