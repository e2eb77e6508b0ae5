"""An attempt that another harness made, as imported: what its archive claimed, what its files show, what follows."""

from typing import Any, Literal

from pydantic import AwareDatetime, model_validator

from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.base import Record
from speedproof.journal.failure import Diagnosis
from speedproof.journal.foreign_parts import (
    Clock,
    FailedCall,
    ForeignFile,
    ForeignPatch,
    ForeignPatchStatus,
    Layout,
    Legacy,
    Recorded,
    SecretSeen,
    ShownOfExpert,
    SourceOfUsage,
    Told,
    UsageSource,
)
from speedproof.journal.status import RunStatus
from speedproof.journal.usage import Usage


class ForeignAttempt(Record):
    """One imported attempt: a line of attempts.jsonl. Null means unknown, never no."""

    format: Literal["speedproof/foreign/1"] = "speedproof/foreign/1"
    """Version of this record's schema."""
    reader: str
    """Name and version of the readers that made this record."""
    id: str
    """Digest of its place in the archive, 12 hexadecimal digits."""
    archive: str
    """Id of the archive."""
    folder: str
    """Its folder, relative to the archive's root."""
    part: str | None = None
    """The file and entry in it that this attempt is; null when it is the folder."""
    layout: Layout
    """What its files are."""
    files: tuple[ForeignFile, ...]
    """Its files."""
    facts: dict[str, Any] = {}
    """Every field of its journals, summaries and predictions by file and path, such as journal.json:trae.returncode.
    A patch is kept as its size and digest."""
    recorded: Recorded
    """What the archive claims."""
    journal: bool
    """Whether it has a valid journal or a record of its own."""
    run: str
    """The run it belongs to: the path of the folder above it, from below the last folder called runs."""
    item: str
    """Name of the item."""
    task: str | None = None
    """Name of the task."""
    commit: str | None = None
    """The expert's commit."""
    pre: str | None = None
    """The commit before it, from which the agent started."""
    repository: str | None = None
    """The repository, by the label of folders and summaries."""
    agent: Told
    """The agent."""
    model: Told
    """The model that answered; the one asked for where no answer names it."""
    model_asked: str | None = None
    """The model that the agent was told to ask, as its own records say."""
    began: AwareDatetime | None = None
    """When the agent began, UTC."""
    ended: AwareDatetime | None = None
    """When it ended, UTC."""
    written: AwareDatetime | None = None
    """When the archive's record of it was written, UTC."""
    clock: Clock
    """How its times were brought to UTC."""
    wall_s: float | None = None
    """Seconds the agent ran: as recorded, else as its own records say."""
    budget_s: float | None = None
    """Seconds it was given."""
    exit_code: int | None = None
    """Its exit code; null when unknown or ended by a signal."""
    signal: int | None = None
    """The signal that ended it; null when unknown or none did."""
    steps: int | None = None
    """Steps, by its trajectory, else the largest number in its log."""
    outcome: AgentOutcome | None = None
    """What the agent says of itself; null when it left nothing readable."""
    patch: ForeignPatch | None = None
    """The patch; null when there is no file of it."""
    usages: tuple[UsageSource, ...] = ()
    """Every source that tells tokens, best first."""
    usage: Usage = Usage()
    """Tokens by the best source."""
    usage_source: SourceOfUsage | Literal["unknown"] = "unknown"
    """That source."""
    usage_why: str = "no file tells tokens"
    """Why it is the best."""
    billed_usd: float | None = None
    """What the agent says it cost, US dollars."""
    calls: int | None = None
    """Model calls that were answered or failed; null when no file tells them."""
    failed: int | None = None
    """Those that failed, as far as the files tell; null when no file tells calls."""
    failed_calls: tuple[FailedCall, ...] = ()
    """The failed ones, the first 1,000."""
    retries: int | None = None
    """Repeated tries that the logs announce; null without a log."""
    expert_shown: tuple[ShownOfExpert, ...] = ()
    """What of the expert's change its prompt, logs and trajectory show."""
    lines_as_shown: int | None = None
    """Lines that the patch adds and a diff in the prompt adds too; null when the prompt holds none, or there is no
    patch."""
    lines_as_expert: int | None = None
    """Lines that the patch adds and the expert's own patch, a file beside it, adds too; null without either."""
    prompt_file: str | None = None
    """The file that holds what the agent was told, relative to the attempt's folder; null when none does."""
    prompt_sha256: str | None = None
    """SHA-256 of the prompt, UTF-8."""
    prompt_template_sha256: str | None = None
    """SHA-256 of the prompt without the task's particulars (paths, hashes, names, test scripts): equal for equal
    wording."""
    prompt_chars: int | None = None
    """Characters of the prompt."""
    config_sha256: str | None = None
    """SHA-256 of the settings that its own files show, the model left out; null when they show none. Of our own
    attempts: of all limits, options and parameters."""
    secrets: tuple[SecretSeen, ...] = ()
    """Keys that stand in its files."""
    legacy: Legacy = Legacy()
    """What naive reading gives."""
    run_status: RunStatus
    """How the process went, by our rules."""
    patch_status: ForeignPatchStatus
    """What kind of patch there is."""
    diagnosis: Diagnosis | None
    """Why it did not complete, or why there is nothing to judge."""
    fingerprint: str | None = None
    """Name of the failure without particulars: equal for equal failures."""
    exit_and_patch: bool
    """Success rule: exit code 0 and patch bytes."""
    strict: bool
    """Success rule: exit code 0, a patch with an effect, no error."""
    confirmed: bool
    """Success rule: strict, the agent's own end marker agrees, and some answer has output tokens."""
    duplicate_of: str | None = None
    """Id of the attempt that this is a second copy of."""
    own: str | None = None
    """For Speedproof's own: run/item/number."""

    @model_validator(mode="after")
    def _no_failure_without_diagnosis(self) -> "ForeignAttempt":
        if self.run_status != "completed" and self.diagnosis is None:
            raise ValueError(f"an attempt that is {self.run_status} needs a diagnosis")
        return self
