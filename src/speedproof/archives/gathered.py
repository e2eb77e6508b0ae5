"""What the readers found of one attempt, before it is put together."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from speedproof.archives.log import Log, hit
from speedproof.archives.prompt import Prompt
from speedproof.diagnosis.facts import excerpt
from speedproof.journal.attempt import AgentOutcome, HarnessError
from speedproof.journal.base import Evidence
from speedproof.journal.foreign_parts import ForeignPatch, Recorded, SecretSeen, ShownOfExpert, UsageSource

How = Literal["claimed", "configured", "sent"]
"""What kind of place shows a setting (SettingSeen.how)."""
_FAR = 300
"""Bytes into a line from which an excerpt begins at its place, not at the line's beginning."""


@dataclass
class Naming:
    """One thing that names an agent or a model."""

    value: str
    """The name."""
    evidence: Evidence
    """Where it stands."""
    direct: bool = True
    """Whether it says so itself; else it follows from what it looks like."""
    version: str | None = None
    """The version it names."""


@dataclass(slots=True)
class Seen:
    """A setting as a reader found it."""

    key: str
    """Its name."""
    value: str | None
    """Its value as text."""
    how: How
    """What kind of place it is."""
    where: Evidence
    """The place; its file is relative to the folder."""
    path: str | None = None
    """The path in a configuration."""
    denied: bool = False
    """Whether a sentence denies it."""


@dataclass
class Gathered:
    """What the readers of one attempt's files have put down."""

    facts: dict[str, Any] = field(default_factory=dict)
    """Foreign fields by file and path."""
    recorded: Recorded = field(default_factory=Recorded)
    """What the archive claims."""
    recorded_place: Evidence | None = None
    """Where."""
    exit_place: Evidence | None = None
    """Where its exit code stands."""
    journal: bool = False
    """Whether there is a valid one."""
    exported: Any = None
    """The block of a journal that Speedproof wrote when it exported one of its own attempts."""
    harness: HarnessError | None = None
    """The harness's own exception."""
    harness_place: Evidence | None = None
    """Where it stands."""
    task: str | None = None
    """Name of the task."""
    item: str | None = None
    """Name of the item, where a file tells."""
    run: str | None = None
    """The run, where a file tells."""
    commit: str | None = None
    """The expert's commit."""
    pre: str | None = None
    """The commit before it."""
    repository: str | None = None
    """Label of the repository."""
    labels: dict[str, dict[str, str]] = field(default_factory=lambda: {"agent": {}, "model": {}})
    """What labels say of agent and model, by place."""
    agents: list[Naming] = field(default_factory=list)
    """Evidence of the agent."""
    models: list[Naming] = field(default_factory=list)
    """Evidence of the model that answered, the most telling first."""
    model_asked: Naming | None = None
    """The model it was told to ask."""
    began: datetime | None = None
    """When it began; without a zone where its own record has none."""
    ended: datetime | None = None
    """When it ended."""
    wall_s: float | None = None
    """Seconds by the agent's own records."""
    budget_s: float | None = None
    """Seconds it was given."""
    commits: int | None = None
    """Commits that its harness counted."""
    steps: int | None = None
    """Steps by its own records."""
    answers: int | None = None
    """Answers of the model that its own records hold."""
    failed_steps: list[tuple[str, Evidence]] = field(default_factory=list)
    """Errors of steps in its own records, in order."""
    said: list[tuple[str, Evidence]] = field(default_factory=list)
    """Its own errors, the one that counts most first."""
    outcome: AgentOutcome | None = None
    """What the agent says of itself."""
    outcome_place: Evidence | None = None
    """Where that stands."""
    closed: bool | None = None
    """Whether its own record was closed at its end; null without one."""
    billed_usd: float | None = None
    """What it says it cost."""
    usages: list[UsageSource] = field(default_factory=list)
    """Sources of tokens."""
    patch: ForeignPatch | None = None
    """The patch."""
    patch_lines: list[bytes] = field(default_factory=list)
    """Lines that the patch adds."""
    shown: list[ShownOfExpert] = field(default_factory=list)
    """What of the expert's change its files show."""
    shown_lines: set[bytes] = field(default_factory=set)
    """Lines that a diff in the prompt adds."""
    secrets: list[SecretSeen] = field(default_factory=list)
    """Keys that stand in its files."""
    expert_lines: set[bytes] = field(default_factory=set)
    """Lines that the expert's own patch adds."""
    logs: list[Log] = field(default_factory=list)
    """Its logs, copies left out."""
    settings: list[Seen] = field(default_factory=list)
    """Settings that its files show."""
    prompt: Prompt | None = None
    """What it was told, by the file that is the most telling so far."""


def place(file: str, data: bytes | None, key: str, value: str = "", *, last: bool = False) -> Evidence:
    """The place of a key of a JSON file, followed by what begins with `value`; only the file where it is not there."""
    begin = -1 if data is None else find_key(data, key, value, last=last)
    return Evidence(file=file) if data is None or begin < 0 else place_at(file, data, begin)


def find_key(data: bytes, key: str, value: str = "", start: int = 0, *, last: bool = False) -> int:
    """Where a key stands in the bytes of a JSON file, written with or without a space; -1 where it does not."""
    for between in (": ", ":"):
        mark = f'"{key}"{between}{value}'.encode(errors="replace")
        begin = data.rfind(mark, start) if last else data.find(mark, start)
        if begin >= 0:
            return begin
    return -1


def place_at(file: str, data: bytes, begin: int) -> Evidence:
    """The place of a byte in a file, its line as excerpt; of a long line what follows the byte."""
    found = hit(data, begin)
    far = begin - data.rfind(b"\n", 0, begin) > _FAR
    text = data[begin : begin + 4 * _FAR].decode(errors="replace") if far else found.text
    return Evidence(file=file, line=found.line, excerpt=excerpt(text))


def at_line(file: str, data: bytes | None, line: int) -> Evidence:
    """The place of a line of a file."""
    begin = 0
    for _ in range(line - 1 if data is not None else 0):
        begin = (data or b"").find(b"\n", begin) + 1
        if begin == 0:
            return Evidence(file=file, line=line)
    return Evidence(file=file, line=line) if data is None else place_at(file, data, begin)


def number(value: Any) -> float | None:
    """`value` when it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 else None


def whole(value: Any) -> int | None:
    """`value` when it is a whole number of bearable size, else None."""
    return value if type(value) is int and abs(value) < 2**53 else None
