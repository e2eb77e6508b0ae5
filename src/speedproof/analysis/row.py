"""One attempt as one row: its facts, its status and the evaluation that was declared beforehand, joined."""

from datetime import datetime
from typing import Literal

from speedproof.analysis.interval import Interval, interval
from speedproof.analysis.reading import attempted, evaluation_file
from speedproof.analysis.signatures import Opined, Signature, decided, said_of
from speedproof.analysis.standing import Standing
from speedproof.diagnosis import derive, derived
from speedproof.journal import (
    Attempt,
    AttemptStore,
    CallIntent,
    Diagnosis,
    Evaluation,
    ItemPlan,
    Record,
    RunStore,
    Status,
    Usage,
)
from speedproof.journal.evaluation import Correctness, Integrity, Targeting
from speedproof.journal.measurement import Speed
from speedproof.journal.status import Parameter, PatchStatus, RunStatus


class Row(Record):
    """All that a table about attempts needs. Null means unknown, never no."""

    name: str
    """run/item/number; run/item for an item that has no attempt."""
    item: str
    """Id of the item."""
    number: int | None
    """Number of the attempt within the item; null when there is none."""
    folder: str | None
    """The attempt's folder, relative to the run's; null when there is none."""
    state: Literal["sealed", "open", "not_started", "damaged"]
    """open: under way, or crashed; not_started: an item without an attempt; damaged: attempt.json is unreadable."""
    error: str | None = None
    """What could not be read, and where; null when everything could."""
    standing: Standing | None = None
    """Where its item stands, when that has no attempt; null when it has one."""
    task: str
    """Name of the task."""
    agent: str
    """Name of the agent."""
    agent_version: str | None = None
    """Version the agent reports."""
    model: str | None
    """Model as asked for; null for agents that use none."""
    sample: int
    """Number of the sample."""
    control: str | None
    """For the patch agent: expert, noop or a file; null for agents that call a model."""
    opened_at: datetime | None = None
    """When the attempt began, UTC."""
    wall_s: float | None = None
    """Seconds the agent's process ran."""
    launched: bool | None = None
    """Whether the agent's process was started."""
    rules: str | None = None
    """The rules that derived the status; null when none is derived."""
    run: RunStatus | None = None
    """How the process went."""
    patch: PatchStatus | None = None
    """What kind of patch there is."""
    applies: bool | None = None
    """Whether the patch applies to the clean base."""
    builds: bool | None = None
    """Whether the patched tree could be built, or was run without a build."""
    correctness: Correctness | None = None
    """Whether the patch computes the right thing; null when not judged."""
    speed: Speed | None = None
    """Relative to base; null when not judged."""
    integrity: Integrity | None = None
    """Whether the patch plays by the rules: by the signature that counts, where there is one, else by the evaluation;
    null when neither says."""
    judged_integrity: Integrity | None = None
    """What the evaluation says of it; null when not judged."""
    as_good_as_expert: bool | None = None
    """Whether the interval against the expert excludes being slower by more than the margin."""
    proven: bool | None = None
    """Success rule: correct and faster by the declared method, and clean, by it or by a person's signature; null while
    a patch waits for judgement."""
    proven_by_signature: bool = False
    """Whether that rests on a signature: without it the patch would not be proven."""
    disproven_by_signature: bool = False
    """Whether only a signature keeps it from being proven."""
    patch_sha256: str | None = None
    """SHA-256 of the patch that was judged, else of the one on record: a signature holds for no other."""
    signed: Signature | None = None
    """The signature that counts: the latest for this very patch; null when nobody signed it."""
    signed_before: tuple[Signature, ...] = ()
    """Earlier ones for this patch, oldest first: kept, and overruled by the latest."""
    signed_elsewhere: int = 0
    """Signatures in the attempt's folder for another patch; they do not count."""
    opinions: tuple[Opined, ...] = ()
    """What models said of this patch, oldest first; it decides nothing."""
    claims_success: bool | None = None
    """What the agent says of itself."""
    exit_and_patch: bool | None = None
    """Success rule of the status."""
    strict: bool | None = None
    """Success rule of the status."""
    confirmed: bool | None = None
    """Success rule of the status."""
    speedup: Interval | None = None
    """Patch against base."""
    against_expert: Interval | None = None
    """Patch against expert."""
    expert: Interval | None = None
    """Expert against base, in the same measurement."""
    noop: Interval | None = None
    """No-op control against base, in the same measurement."""
    reasons: tuple[str, ...] = ()
    """Why the verdict is what it is, most decisive first."""
    failed: tuple[str, ...] = ()
    """Messages of the checks that decide against the patch."""
    flagged: tuple[str, ...] = ()
    """Messages of the checks that ask for a look."""
    diagnosis: Diagnosis | None = None
    """Why the attempt did not finish, or has nothing to judge."""
    judging: Diagnosis | None = None
    """Why the task could not be judged."""
    judged_at: datetime | None = None
    """When the evaluation that counts was concluded, UTC; null when there is none."""
    unqualified: Diagnosis | None = None
    """Why its task can prove nothing on the machine that judged; null when it can, or nobody knows."""
    flaky_tests: tuple[str, ...] = ()
    """Tests that gave different results on the same code; they decide nothing."""
    calls: int | None = None
    """Model calls on the wire."""
    failed_calls: int | None = None
    """Those that failed."""
    damaged_lines: int = 0
    """Lines of calls.jsonl that are torn or unreadable, and thus not counted."""
    usage: Usage = Usage()
    """Tokens, summed over the calls whose usage is known."""
    usage_unknown_calls: int | None = None
    """Calls whose usage is unknown."""
    cost_usd: float | None = None
    """Cost at list prices, summed over the calls that have one."""
    cost_unknown_calls: int | None = None
    """Calls whose cost is unknown."""
    parameters: tuple[Parameter, ...] = ()
    """Model parameters that were configured or pinned, as seen on the wire."""
    patch_files: tuple[str, ...] | None = None
    """Paths the patch touches."""
    patch_added: int | None = None
    """Lines added."""
    patch_removed: int | None = None
    """Lines removed."""
    targeting: Targeting | None = None
    """Where the patch works, beside where the expert worked; null when not looked at."""
    expert_at: datetime | None = None
    """When the expert's change was made public; null: unknown."""
    machine_shared: bool | None = None
    """Whether it was measured on a machine where agents may have been at work; null when not measured, or not known."""
    evaluation: str | None = None
    """File of the evaluation that counts, relative to the attempt's folder."""
    undeclared_evaluations: int = 0
    """Evaluations by methods that the run did not declare beforehand; they do not count."""

    @property
    def cut_off(self) -> bool:
        """Whether the attempt was ended by us or a kill, so that it says nothing of its agent."""
        return self.run in ("cancelled", "crashed")


def row(store: AttemptStore, item: ItemPlan) -> Row:
    """The row of one attempt. What cannot be read is null and named in `error`."""
    errors: list[str] = []
    attempt = attempted(store.read, errors)
    status = attempted(lambda: newest_status(store), errors)
    evaluations = attempted(store.evaluations, errors) or []
    calls, bad = attempted(store.calls, errors) or ([], [])
    declared = [e for e in evaluations if e.declared]
    seen = [c for _, c in calls if isinstance(c, CallIntent) and c.protocol != "other"]
    values: dict[str, object] = {
        "calls": len(seen) if attempt or seen else None,
        "launched": True if seen else None,
        "damaged_lines": len(bad),
        "undeclared_evaluations": len(evaluations) - len(declared),
    }
    values |= (_of_attempt(attempt, bool(seen)) if attempt else {}) | (_of_status(status) if status else {})
    values |= _of_evaluation(declared[-1]) if declared else {}
    values |= _said(store, attempt, declared[-1] if declared else None, errors)
    if values.get("proven") is None and status and status.patch != "applied":
        values["proven"] = False  # nothing that could be proven: no later judgement can change it
    return Row.model_validate(
        {
            "name": store.name,
            "number": int(store.folder.name),
            "folder": f"items/{item.id}/{store.folder.name}",
            "state": attempt.state if attempt else "damaged",
            "error": "; ".join(errors).replace(f"{store.folder}/", "") or None,
            **planned(item),
            **values,
        }
    )


def newest_status(store: AttemptStore) -> Status | None:
    """The status derived last, by whichever rules; null for an attempt under way. Raises RecordError when damaged.

    A harness that was killed derived none: then what the rules say now of the facts it left.
    """
    found = derived(store)
    if found is not None:
        return found
    alive = store.read().state == "open" and RunStore(store.folder.parents[2]).is_locked()
    return None if alive else derive(store, alive=False)


def planned(item: ItemPlan) -> dict[str, object]:
    """The fields of a row that its item gives."""
    return {
        "item": item.id,
        "task": item.task,
        "agent": item.agent,
        "model": item.model,
        "sample": item.sample,
        "control": item.control,
    }


def _of_attempt(attempt: Attempt, called: bool) -> dict[str, object]:
    patch, outcome = attempt.patch, attempt.outcome
    reached_run = any(t.stage == "running" for t in attempt.transitions)
    launched = attempt.process is not None or called or (None if reached_run or attempt.state == "open" else False)
    return {
        "agent_version": attempt.agent_version,
        "opened_at": attempt.opened_at,
        "wall_s": attempt.process.wall_s if attempt.process else None,
        "launched": launched,
        "claims_success": outcome.claims_success if outcome else None,
        "applies": patch.applies if patch and patch.size else None,
        "patch_files": patch.files if patch else None,
        "patch_added": patch.added_lines if patch else None,
        "patch_removed": patch.removed_lines if patch else None,
    }


def _of_status(status: Status) -> dict[str, object]:
    return status.model_dump(exclude={"derived_at", "usage_source", "usage", "diagnosis", "parameters"}) | {
        "parameters": status.parameters,
        "usage": status.usage,
        "diagnosis": status.diagnosis,
    }


def _said(
    store: AttemptStore, attempt: Attempt | None, evaluation: Evaluation | None, errors: list[str]
) -> dict[str, object]:
    """What people and models said of the patch, and what stands of its integrity and proof because of it."""
    patch = attempt.patch.sha256 if attempt and attempt.patch and attempt.patch.size else None
    if evaluation is not None and evaluation.patch_sha256 is not None:
        patch = evaluation.patch_sha256
    said = said_of(store, patch, errors)
    expert = interval(evaluation.measurement, "expert") if evaluation else None
    values = {"patch_sha256": patch} | {name: getattr(said, name) for name in type(said).model_fields}
    return values | decided(evaluation, said.signed, None if expert is None else expert.decision == "faster")


def _of_evaluation(evaluation: Evaluation) -> dict[str, object]:
    verdict, measurement, arm = evaluation.verdict, evaluation.measurement, evaluation.arm
    checks = {c.name: c.result for c in evaluation.checks}
    ran = True if measurement or {"tests", "outputs"} & checks.keys() else None
    values: dict[str, object] = {
        "builds": {"pass": True, "fail": False}.get(checks.get("build", ""), ran),
        "correctness": verdict.correctness,
        "speed": verdict.speed,
        "as_good_as_expert": verdict.as_good_as_expert,
        "reasons": verdict.reasons,
        "failed": tuple(c.message for c in evaluation.checks if c.result == "fail"),
        "flagged": tuple(c.message for c in evaluation.checks if c.result == "flag"),
        "judging": evaluation.diagnosis,
        "judged_at": evaluation.evaluated_at,
        "flaky_tests": tuple(sorted({name for report in evaluation.tests for name in report.flaky})),
        "evaluation": evaluation_file(evaluation.digest),
        "speedup": interval(measurement, arm),
        "against_expert": interval(measurement, arm, "expert"),
        "expert": interval(measurement, "expert"),
        "noop": interval(measurement, "control"),
        "machine_shared": measurement.machine_shared if measurement else None,
        "targeting": evaluation.targeting,
        "expert_at": evaluation.expert_at,
    }
    if checks.get("applies") in ("pass", "fail"):
        values["applies"] = checks["applies"] == "pass"
    return values
