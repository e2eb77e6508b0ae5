"""One attempt as its files show it: the object that stands beside its naive fields."""

from datetime import datetime

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures import measured
from speedproof.journal import FailureClass, Record
from speedproof.journal.foreign_parts import ForeignPatchStatus
from speedproof.journal.status import RunStatus


class Truth(Record):
    """One attempt as its files show it. Null means unknown."""

    name: str
    """Its name: run/item where that is unique."""
    archive: str
    """Id of the archive or the run that it was read from."""
    folder: str
    """Its folder, relative to the root of that."""
    at: datetime | None
    """When it was concluded, UTC."""
    recorded: bool | None
    """Whether its archive claims success."""
    exit_and_patch: bool
    """Success rule: exit code 0 and patch bytes."""
    strict: bool
    """Success rule: exit code 0, a patch with an effect, no error."""
    confirmed: bool
    """Success rule: strict, and the agent's own word and calls agree."""
    proven: bool | None
    """Success rule: judged correct, faster and clean; null where nobody judged it."""
    run_status: RunStatus
    """How its process went."""
    patch_status: ForeignPatchStatus
    """What kind of patch there is."""
    patch_bytes: int | None
    """Bytes of its patch; null where there is no file of it."""
    wall_s: float | None
    """Seconds it ran: as recorded, else as its own records say."""
    cause: FailureClass | None
    """Class of its diagnosis."""
    cause_message: str | None
    """What happened, in a sentence."""
    cause_confidence: str | None
    """What the diagnosis rests on: direct, inferred, weak."""
    evidence: tuple[str, ...]
    """Where that stands, as file:line, relative to the same root."""
    agent: str | None
    """The agent."""
    agent_evidence: str
    """What its name rests on: direct, inferred, label, none."""
    model: str | None
    """The model."""
    model_evidence: str
    """What its name rests on: direct, inferred, label, none."""
    steps: int | None
    """Steps it took."""
    input_tokens: int | None
    """Input tokens, cached ones included, as the best source counts."""
    uncached_input_tokens: int | None
    """Those that the provider read afresh."""
    cached_input_tokens: int | None
    """Those that it took from its cache."""
    output_tokens: int | None
    """Output tokens, reasoning included."""
    usage_source: str
    """Where its tokens are told; unknown where no file tells them."""
    cost_usd: float | None
    """US dollars at the list prices of its day."""
    billed_usd: float | None
    """US dollars as the agent itself reports them."""
    calls: int | None
    """Model calls that were answered or failed."""
    failed_calls: int | None
    """Those that failed, as far as the files tell."""
    tool_output_missing_calls: int | None
    """Those refused because a tool call had been left without its output."""


def truth(collection: Collection, entry: Entry) -> Truth:
    """What is known of an attempt of the collection."""
    attempt, diagnosis = entry.attempt, entry.attempt.diagnosis
    refused = measured(collection, "tool_output_missing_calls", {"attempt": entry.name}).value
    return Truth(
        name=entry.name,
        archive=attempt.archive,
        folder=attempt.folder,
        at=entry.at,
        recorded=entry.recorded,
        exit_and_patch=attempt.exit_and_patch,
        strict=attempt.strict,
        confirmed=attempt.confirmed,
        proven=entry.proven,
        run_status=attempt.run_status,
        patch_status=attempt.patch_status,
        patch_bytes=attempt.patch.size if attempt.patch else None,
        wall_s=attempt.wall_s,
        cause=entry.failure,
        cause_message=diagnosis.message if diagnosis else None,
        cause_confidence=diagnosis.confidence if diagnosis else None,
        evidence=tuple(
            f"{attempt.folder}/{e.file}" + (f":{e.line}" if e.line else "")
            for e in (diagnosis.evidence if diagnosis else ())
        ),
        agent=attempt.agent.value,
        agent_evidence=attempt.agent.confidence,
        model=attempt.model.value,
        model_evidence=attempt.model.confidence,
        steps=attempt.steps,
        input_tokens=entry.input_tokens,
        uncached_input_tokens=attempt.usage.uncached_input,
        cached_input_tokens=attempt.usage.cache_read,
        output_tokens=attempt.usage.output,
        usage_source=attempt.usage_source,
        cost_usd=entry.cost_usd,
        billed_usd=attempt.billed_usd,
        calls=attempt.calls,
        failed_calls=attempt.failed,
        tool_output_missing_calls=refused if isinstance(refused, int) else None,
    )
