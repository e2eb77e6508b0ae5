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


class Transition(Record):
    """One step in the life of an attempt."""

    stage: Literal["prepare", "run", "collect", "sealed"]
    """The stage that begins."""
    at: datetime
    """When it began, UTC."""


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
    """Why the harness ended it; null when it ended by itself."""


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
    transitions: tuple[Transition, ...] = ()
    """The stages it went through."""
    base_tree: str | None = None
    """Git tree id of the base the agent started from; null when the workspace was never made."""
    prompt_sha256: str | None = None
    """SHA-256 of prompt.md."""
    sandbox: SandboxFacts | None = None
    """The isolation in force; null when nothing was launched."""
    process: ProcessFacts | None = None
    """The agent's process; null when nothing was launched."""
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
