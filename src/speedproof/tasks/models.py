"""The suite file's models. `speedproof schema` prints them as JSON Schema."""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from speedproof.tasks.given import Given, Name, RelativePath
from speedproof.tasks.tolerance import Comparer, Tolerance


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError(f"{path!r} must be a relative path without '..'")
    return path


class GitSource(Given):
    """A repository and the commit in which a person made it faster."""

    git: str
    """URL, or path (relative to the suite file), of the repository."""
    expert: str | None = None
    """The commit that holds the reference change: full id, unambiguous beginning, tag or branch; null: there is none,
    and what is proven rests on base alone."""
    base: str | None = None
    """The commit before the change; default: the expert's first parent."""


class PypiRelease(Given):
    """One release's source distribution on the package index."""

    version: str
    """Version, such as 0.7.20."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the sdist; when given, another file is refused."""


class PypiPair(Given):
    """Two releases of a package: the older one is base, what changed in the newer one is the expert's."""

    package: str
    """Name on the package index."""
    base: PypiRelease
    """The older release."""
    expert: PypiRelease
    """The newer release."""
    files: tuple[RelativePath, ...] | dict[RelativePath, RelativePath] = ()
    """Files that the expert commit takes from the newer sdist, the rest staying as in base: a list, or a mapping
    of path in base to path in the newer sdist where files were moved; empty: the whole sdist."""

    @field_validator("files")
    @classmethod
    def _relative(cls, value: tuple[str, ...] | dict[str, str]) -> tuple[str, ...] | dict[str, str]:
        for path in (*value, *(value.values() if isinstance(value, dict) else ())):
            _inside(path)
        return value

    def file_map(self) -> dict[str, str]:
        """Path in base → path in the newer sdist; empty when the whole sdist counts."""
        return dict(self.files) if isinstance(self.files, dict) else {f: f for f in self.files}


class PypiSource(Given):
    """A repository of two commits made from two source distributions, with the same ids on every machine."""

    pypi: PypiPair
    """The pair of releases."""


class Metric(Given):
    """One number a workload yields."""

    name: Name = "seconds"
    """seconds, cpu_seconds and peak_memory are taken by the harness from outside; others the workload reports."""
    unit: str = "s"
    """Unit, such as s, bytes, tokens/s."""
    direction: Literal["lower", "higher"] = "lower"
    """Which way is better."""


class Workload(Given):
    """A command that performs the work to be made faster (docs/writing-a-task.md states its protocol)."""

    name: Name
    """Name within the task."""
    command: str
    """Shell command, run in the root of the repository; the files below stand in /task."""
    files: tuple[RelativePath, ...] = ()
    """Files (relative to the suite file) mounted read-only in /task under their own names."""
    metrics: tuple[Metric, ...] = Field(default=(Metric(),), min_length=1)
    """What it yields; the first decides, the others are shown."""
    tolerance: Tolerance = "exact"
    """When outputs count as base's: byte by byte, numbers within a tolerance, or by a command of the task's own."""
    timeout_s: float = Field(default=120, gt=0)
    """Wall seconds one execution may take."""

    @property
    def task_files(self) -> tuple[str, ...]:
        """Its files, and its comparer's."""
        return self.files + (self.tolerance.files if isinstance(self.tolerance, Comparer) else ())


class Tests(Given):
    """A command that runs tests and leaves a JUnit XML file at $SPEEDPROOF_JUNIT."""

    command: str
    """Shell command, run in the root of the repository."""
    files: tuple[RelativePath, ...] = ()
    """Files (relative to the suite file) mounted read-only in /task under their own names."""
    known_failures: tuple[str, ...] = ()
    """Ids (class::name) of tests that fail on base for reasons outside the task; they are left out."""
    timeout_s: float = Field(default=1800, gt=0)
    """Wall seconds it may take."""


class Environment(Given):
    """The Python environment of a task; built once, read-only to attempts."""

    python: str | None = None
    """Python version such as 3.11, or a path to an interpreter; default: the one that runs Speedproof."""
    requirements: tuple[str, ...] = ()
    """Requirements as pip takes them; pin them, the environment is part of the task's content."""
    env: dict[str, str] = {}
    """Environment variables for agent, tests, build and workloads, such as PYTHONPATH: src."""


class Limits(Given):
    """Bounds on an attempt; null: none. They are not part of the task's identity."""

    wall_s: float | None = Field(default=3600, gt=0)
    """Wall seconds from launch."""
    idle_s: float | None = Field(default=600, gt=0)
    """Seconds with neither a model call nor output nor the use of a processor."""
    startup_s: float | None = Field(default=300, gt=0)
    """Seconds from launch to the first model call or output."""
    memory_mb: int | None = Field(default=8192, gt=0)
    """MiB of memory for all of the agent's processes together, what stands in /tmp included."""
    processes: int | None = Field(default=2048, gt=0)
    """Processes and threads at once."""
    disk_mb: int | None = Field(default=10240, gt=0)
    """MiB by which workspace and home may grow, and that each command may write which builds, tests or warms up."""
    files: int | None = Field(default=500_000, gt=0)
    """Files by which workspace and home may grow, and that each such command may make."""
    steps: int | None = Field(default=None, gt=0)
    """Model calls."""
    tokens: int | None = Field(default=None, gt=0)
    """Input and output tokens together, cached ones included."""
    input_tokens: int | None = Field(default=None, gt=0)
    """Input tokens, cached ones included."""
    output_tokens: int | None = Field(default=None, gt=0)
    """Output tokens."""
    cost_usd: float | None = Field(default=None, gt=0)
    """US dollars at list prices; refused for a model without a price, unless a limit on tokens stands beside it."""


class Resources(Given):
    """What an attempt is expected to need of the machine; so many run at once as find room. No part of the task's
    identity."""

    cpus: float = Field(default=1, gt=0)
    """Processors."""
    memory_mb: int = Field(default=2048, gt=0)
    """MiB of memory."""
    gpus: int = Field(default=0, ge=0)
    """Graphics processors, each held by one attempt, or whoever measures, alone."""


class Task(Given):
    """One optimization problem."""

    name: Name
    """Name within the suite."""
    source: GitSource | PypiSource
    """Where its base and expert commits come from."""
    instructions: str
    """What the agent is asked to do; the harness adds how to work, never the answer."""
    environment: Environment | None = None
    """Python environment; null: the task brings none."""
    build: str | None = None
    """Shell command that builds the tree in place, offline, once for each arm."""
    workloads: tuple[Workload, ...] = ()
    """What is measured; none: speed is not_measured."""
    tests: tuple[Tests, ...] = ()
    """What must still pass; none: correctness rests on the workloads' outputs, or is unknown."""
    protected: tuple[str, ...] = (
        "test/**",
        "tests/**",
        "**/test/**",
        "**/tests/**",
        "**/test_*.py",
        "**/conftest.py",
    )
    """Git-style patterns of paths a patch must leave alone; they are put back to base before judging."""
    limits: Limits = Limits()
    """Bounds on an attempt."""
    resources: Resources = Resources()
    """What an attempt is expected to need."""
    show_workload: bool = True
    """Whether the agent may read and run the workloads (with seeds of its own)."""

    @field_validator("source")
    @classmethod
    def _begins_somewhere(cls, value: GitSource | PypiSource) -> GitSource | PypiSource:
        if isinstance(value, GitSource) and value.expert is None and value.base is None:
            raise ValueError("name `expert`, the commit that holds the reference change, or at least `base`")
        return value

    @field_validator("workloads")
    @classmethod
    def _distinct(cls, value: tuple[Workload, ...]) -> tuple[Workload, ...]:
        names = [w.name for w in value]
        if len(set(names)) != len(names):
            raise ValueError("two workloads have the same name")
        return value

    @property
    def task_files(self) -> tuple[str, ...]:
        """All files that workloads and tests mount in /task."""
        return tuple(
            dict.fromkeys(
                f for files in ([w.task_files for w in self.workloads] + [t.files for t in self.tests]) for f in files
            )
        )


class Suite(Given):
    """A named set of tasks: one YAML file."""

    format: Literal["speedproof/suite/1"] = "speedproof/suite/1"
    """Version of the file's schema."""
    name: Name
    """Name of the suite."""
    description: str = ""
    """What the tasks have in common."""
    defaults: dict[str, object] = {}
    """Fields of a task that hold for every task that does not set them itself."""
    tasks: tuple[Task, ...] = Field(min_length=1)
    """The tasks."""

    @model_validator(mode="after")
    def _distinct(self) -> "Suite":
        seen: set[str] = set()
        for task in self.tasks:
            if task.name in seen:
                raise ValueError(f"two tasks are named {task.name!r}")
            seen.add(task.name)
        return self


def slug(text: str) -> str:
    """`text` as a Name: lower case, other characters turned into dashes."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:80] or "task"
