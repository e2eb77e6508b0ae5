"""The facts of one attempt: what was launched, where, how it ended, what it left."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import model_validator

from speedproof.journal.base import Record
from speedproof.journal.usage import Usage


class StopCause(StrEnum):
    """Why the harness ended the process, when it did."""

    WALL = "wall"
    IDLE = "idle"
    COST = "cost"
    TOKENS = "tokens"
    STEPS = "steps"
    PROTOCOL = "protocol"
    STARTUP = "startup"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    CANCELLED = "cancelled"


class Configured(Record):
    """A model parameter that the agent was configured with, in a file or argument that we wrote."""

    name: str
    """Name of the parameter (docs/agents.md), such as parallel_tool_calls."""
    value: Any
    """Its value."""
    file: str
    """The file of the attempt that holds it."""
    line: int | None = None
    """The line in it; null when it could not be told."""


class Prices(Record):
    """The price list that costs were computed from."""

    source: str
    """Name of the list."""
    version: str
    """Version of the list."""


Stage = Literal["queued", "prepared", "running", "stopping", "collected", "sealed"]
"""queued: its folder is there; prepared: workspace, prompt and launch are; running: the agent was launched; stopping:
it was asked to end, or ended; collected: its patch and what it left are in; sealed: every fact is."""


ACTIVITY: dict[Stage, str] = {
    "queued": "prepare",
    "prepared": "run",
    "running": "run",
    "stopping": "collect",
    "collected": "collect",
    "sealed": "collect",
}
"""What is being done once a stage is reached: where a failure has its place."""


ENDED = "it ended"
"""The cause of stopping when nobody asked the process to."""


class Transition(Record):
    """One step in the life of an attempt."""

    stage: Stage
    """The stage that was reached."""
    at: datetime
    """When, UTC."""
    cause: str | None = None
    """Why, where it is not that the stage before was done: what asked it to stop, the harness's failure."""


class SandboxFacts(Record):
    """What isolation was in force, as probed from inside, not as configured."""

    kind: Literal["bubblewrap", "none"]
    """The sandbox used; none only when the user asked for it by flag."""
    version: str | None = None
    """Version of the sandbox program."""
    host_uid: int
    """The user id the agent had on the host."""
    network: Literal["none", "host"]
    """none: a network namespace of its own with nothing but loopback; host: the host's network."""
    own_pids: bool
    """Whether the agent had a PID namespace of its own, ended with the attempt."""
    no_new_privileges: bool
    """Whether the kernel refused new privileges (setuid programs)."""
    system_calls_filtered: bool | None = None
    """Whether a filter refused system calls that reach kernel keyrings or make namespaces; null: not known."""
    capabilities: str
    """The effective capability mask inside, hexadecimal."""
    mounts: tuple[str, ...]
    """Mount points visible inside, each with ro or rw."""


_NEAR = 0.95
"""Part of a bound on memory that counts as having reached it: the last allocation did not fit."""


class BoundFacts(Record):
    """What bounded the agent's processes, and what they used, as counted from outside."""

    enforced_by: Literal["cgroup v1", "cgroup v2", "watchdog"]
    """cgroup: the kernel refuses what goes beyond; watchdog: the harness looks again and again, and ends what does."""
    memory_bytes: int | None
    """Bytes that all of them together may use; null: no bound."""
    processes: int | None
    """Processes and threads that there may be at once; null: no bound."""
    disk_bytes: int | None
    """Bytes that workspace and home may grow by; always watched, never refused by the kernel; null: no bound."""
    disk_files: int | None
    """Files by which they may grow; null: no bound."""
    memory_peak_bytes: int | None = None
    """Most that they used at once, page cache included under cgroups; null: unknown."""
    processes_peak: int | None = None
    """Most that there were at once; null: unknown."""
    disk_peak_bytes: int | None = None
    """Most that workspace and home had grown by when looked at; null: never looked at."""
    disk_peak_files: int | None = None
    """Files by which they had grown then; null: never looked at."""
    disk_least_free_bytes: int | None = None
    """Least space that was free on their disk when looked at; null: never looked at."""
    out_of_memory_kills: int | None = None
    """Processes that the kernel ended for want of memory, their own or the machine's; null: unknown."""
    refused_processes: int | None = None
    """Processes and threads that the kernel refused to start; null: unknown."""
    left_running: int | None = None
    """Processes that outlived the agent, and were ended; null: not counted, since its PID namespace took them with
    it."""

    @property
    def reached_memory(self) -> bool:
        """Whether they used all the memory that they may, as far as is known."""
        if self.memory_bytes is None:
            return False
        return self.memory_peak_bytes is None or self.memory_peak_bytes >= _NEAR * self.memory_bytes

    @property
    def own_memory_ran_out(self) -> bool:
        """Whether the kernel ended processes because of their own bound, not because the machine had no memory left."""
        return bool(self.out_of_memory_kills) and self.reached_memory


class ProcessFacts(Record):
    """The agent's process as the kernel saw it."""

    argv: tuple[str, ...]
    """The command line inside the sandbox; the token in it is replaced."""
    exit_code: int | None
    """Exit code; null when ended by a signal."""
    signal: int | None
    """The signal that ended it; null when it exited."""
    wall_s: float
    """Seconds from launch to end."""
    cpu_s: float
    """User and system CPU seconds of the process tree."""
    max_rss_bytes: int | None
    """Largest resident set of any one process of the tree, bytes; null where it could not be told."""
    stopped_by: StopCause | None
    """Why the harness ended it, or the kernel by a bound that the harness had set; disk also for one that was found
    beyond its bound at its end. Null when it ended by itself."""


class PatchFacts(Record):
    """The difference the attempt made, computed by the harness from the files alone."""

    sha256: str
    """SHA-256 of patch.diff."""
    size: int
    """Bytes of patch.diff."""
    tree: str
    """Git tree id of the workspace with the patch."""
    files: tuple[str, ...]
    """Paths changed, added or removed."""
    added_lines: int
    """Text lines added."""
    removed_lines: int
    """Text lines removed."""
    effect: Literal["none", "tests_only", "code"]
    """none: comments, whitespace, docstrings or scratch only; tests_only: only protected paths; code: the rest."""
    applies: bool
    """Whether `git apply` takes it on the clean base."""
    left_out: tuple[str, ...]
    """New paths that the harness's excludes or the base commit's ignore files kept out (first 100)."""
    left_out_count: int
    """How many there were in all."""
    refused: tuple[str, ...]
    """Paths git cannot hold or that were unsafe to read: nested .git folders, sockets, devices (first 100)."""


class AgentOutcome(Record):
    """What the agent's own structured evidence says of itself: a witness, not a verdict."""

    finished: bool | None = None
    """Whether it reached its own end marker; null when it leaves none."""
    claims_success: bool | None = None
    """Whether it says it succeeded; null when it does not say."""
    message: str | None = None
    """Its closing words, cut to 2,000 characters."""
    error: str | None = None
    """Its own error text, cut to 2,000 characters."""
    error_file: str | None = None
    """The file of the attempt that holds this error."""
    error_line: int | None = None
    """The line in it."""
    steps: int | None = None
    """Steps or turns it counted."""
    usage: Usage | None = None
    """Its own count of tokens, to reconcile with the wire."""
    cost_usd: float | None = None
    """What it says it cost, US dollars; null when it does not say."""


class HarnessError(Record):
    """An exception of the harness itself, kept so that a diagnosis can name it."""

    stage: str
    """The stage in which it was raised."""
    kind: str
    """The exception's class."""
    message: str
    """Its text, secrets removed."""
    traceback: str
    """Its traceback, for bugs; empty for errors a user can act on."""


class Attempt(Record):
    """attempt.json: opened with the attempt, sealed once; facts only."""

    format: Literal["speedproof/attempt/1"] = "speedproof/attempt/1"
    """Version of this record's schema."""
    run: str
    """Id of the run."""
    item: str
    """Id of the item: a digest of task content, agent, model and sample."""
    number: int
    """Number of the attempt within the item, from 1."""
    task: str
    """Name of the task."""
    agent: str
    """Name of the agent."""
    agent_version: str | None = None
    """Version the agent's own program reports."""
    agent_sha256: str | None = None
    """SHA-256 of the agent's executable."""
    model: str | None
    """Model as asked for by the user; null for agents that use none."""
    sample: int
    """Number of the sample, from 1."""
    control: str | None = None
    """For the patch agent: expert, noop or the patch's file name; null for agents that call a model."""
    state: Literal["open", "sealed"]
    """open until every fact is in."""
    opened_at: datetime
    """When the attempt began, UTC."""
    sealed_at: datetime | None = None
    """When it was sealed, UTC; null while open."""
    recovered_at: datetime | None = None
    """When a later process took it up to seal it, because the one that worked on it was gone, UTC; null: never."""
    transitions: tuple[Transition, ...] = ()
    """The stages it went through."""
    base_tree: str | None = None
    """Git tree id of the base the agent started from; null when the workspace was never made."""
    prompt_sha256: str | None = None
    """SHA-256 of prompt.md."""
    sandbox: SandboxFacts | None = None
    """The isolation in force; null when nothing was launched."""
    bounds: BoundFacts | None = None
    """What bounded its processes; null when nothing was launched, or its harness was killed meanwhile."""
    process: ProcessFacts | None = None
    """The agent's process; null when nothing was launched, or its harness was killed meanwhile."""
    outcome: AgentOutcome | None = None
    """What the agent says of itself; null when it left nothing readable."""
    patch: PatchFacts | None = None
    """The patch; null when it was never computed."""
    trajectory: str | None = None
    """File name of the agent's own trajectory in this folder; null when it left none."""
    settings: dict[str, Any] = {}
    """Effective limits and options of the attempt."""
    configured: tuple[Configured, ...] = ()
    """Model parameters that the agent was configured with."""
    prices: Prices | None = None
    """The price list in force; null for agents that use no model."""
    error: HarnessError | None = None
    """The harness's own failure, if any."""

    @model_validator(mode="after")
    def _sealed_is_dated(self) -> "Attempt":
        if (self.state == "sealed") != (self.sealed_at is not None):
            raise ValueError("an attempt is sealed exactly when it has a sealing time")
        return self
