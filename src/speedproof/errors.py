"""The errors a user can cause or meet. Anything else that escapes is a bug of ours and keeps its traceback.

SpeedproofError            something a person can act on (exit code 2)
├─ InputError              what the user gave is wrong: a file, a flag, a name
├─ SourceError             a repository, commit or package cannot be had
├─ EnvironmentFailed       a task's or an agent's environment cannot be built
├─ SandboxError            isolation is missing or does not hold
├─ AgentError              an agent is not installed, or cannot be launched
├─ LeakError               the answer is within the agent's reach
├─ TaskError               a task cannot prove anything: base broken, workload silent, build fails
└─ RecordError             a record cannot be read or written (full disk, damaged file)
"""

from pathlib import Path
from typing import Literal


class SpeedproofError(Exception):
    """What happened and to what; `hint` is the next command to run or thing to change."""

    def __init__(self, what: str, *, hint: str = "", file: Path | str | None = None, line: int | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.file = str(file) if file is not None else None
        self.line = line

    def __str__(self) -> str:
        where = "" if self.file is None else f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        return f"{where}{self.what}" + (f"\n  next: {self.hint}" if self.hint else "")


class InputError(SpeedproofError):
    """What the user gave is wrong: a file, a flag, a name."""


class SourceError(SpeedproofError):
    """A repository, commit or package cannot be had."""


class EnvironmentFailed(SpeedproofError):
    """A task's or an agent's environment cannot be built."""


class SandboxError(SpeedproofError):
    """Isolation is missing or does not hold."""


class AgentError(SpeedproofError):
    """An agent is not installed, or cannot be launched."""


class LeakError(SpeedproofError):
    """The answer is within the agent's reach."""


class TaskError(SpeedproofError):
    """A task cannot prove anything: its base is broken, its workload silent, its build fails.

    `kind` is the leaf under `task` in the failure tree.
    """

    def __init__(
        self,
        what: str,
        *,
        kind: Literal["base_broken", "setup_failed", "workload_broken"] = "workload_broken",
        hint: str = "",
    ) -> None:
        super().__init__(what, hint=hint)
        self.kind = kind


class RecordError(SpeedproofError):
    """A record cannot be read or written."""
