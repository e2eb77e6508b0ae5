"""One attempt put together from what its readers found: identity, times, tokens, calls, status and diagnosis."""

import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from speedproof.archives.clock import clock_of, in_utc, moment
from speedproof.archives.ending import evidence_of
from speedproof.archives.exported import with_block
from speedproof.archives.gathered import Gathered
from speedproof.archives.identity import add_path_labels, agent_of, model_of, run_of
from speedproof.archives.patch import status_of
from speedproof.archives.settings import config_digest
from speedproof.diagnosis.facts import excerpt
from speedproof.diagnosis.fingerprint import fingerprint
from speedproof.diagnosis.foreign import (
    FOREIGN_RULES,
    cause_of,
    left_to_explain,
    run_status_of,
)
from speedproof.journal import provider
from speedproof.journal.base import Evidence
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import (
    USAGE_ORDER,
    FailedCall,
    ForeignFile,
    Layout,
    Legacy,
    SourceOfUsage,
    UsageSource,
)
from speedproof.journal.redaction import redact, redact_value
from speedproof.journal.usage import Usage

READER = f"archives-3/{FOREIGN_RULES}"
"""Name and version of readers and rules; a change that can change a record changes it."""
_CALL = re.compile(
    r"No tool output found for function call (\w{1,120})|following: *(toolu_\w{1,100})|after: (toolu_\w+)"
)
MOST_CALLS = 1_000
"""Failed calls that are listed."""
_REFUSED = {
    F.NETWORK,
    F.CONTEXT_OVERFLOW,
    F.TOOL_OUTPUT_MISSING,
    F.TOOL_CALL_MISSING,
    F.EMPTY_TOOL_RESULT,
}
"""Failures of a call whose fault is not the model's."""


def attempt_id(archive: str, folder: str, part: str | None) -> str:
    """The id of an attempt: a digest of its place."""
    return hashlib.sha256(f"{archive}\0{folder}\0{part or ''}".encode(errors="replace")).hexdigest()[:12]


def build(
    found: Gathered,
    *,
    archive: str,
    folder: str,
    layout: Layout,
    files: Sequence[ForeignFile],
    part: str | None = None,
) -> ForeignAttempt:
    """The record of an attempt."""
    if layout == "perf-agents-bench":
        add_path_labels(found, folder)
    agent, model = agent_of(found), model_of(found)
    clock = clock_of(found)
    usages = sorted(found.usages, key=lambda each: USAGE_ORDER.index(each.source))
    usage, source, why = best_usage(usages)
    failed = _failed_calls(found)
    patch_status = status_of(found.patch)
    code = found.recorded.exit_code
    evidence = evidence_of(found, patch_status, files)
    cause = cause_of(evidence)
    run_status = run_status_of(cause)
    diagnosis = cause
    if cause is None and (found.recorded.success is False or patch_status != "present"):
        diagnosis = left_to_explain(evidence) if _may_have_patch(found, layout) else None
    wall_s = found.recorded.wall_s or found.wall_s
    began, ended = in_utc(found.began, clock), in_utc(found.ended, clock)
    written = moment(found.recorded.written)
    if ended is None and wall_s is not None:
        ended = written if began is None else began + timedelta(seconds=min(wall_s, 1e8))
    if began is None and ended is not None and wall_s is not None:
        began = ended - timedelta(seconds=min(wall_s, 1e8))
    item = found.item or part or folder.rpartition("/")[2] or archive.rpartition("-")[0]
    prompt = found.prompt
    exit_and_patch = code == 0 and found.patch is not None and found.patch.size > 0
    strict = exit_and_patch and patch_status == "present" and run_status == "completed"
    outcome = found.outcome
    agrees = outcome is not None and outcome.finished is True and outcome.claims_success is not False
    spoke = bool(usage.output) or any(each.total for each in usages) or bool(outcome and outcome.message)
    step = next((log.greatest_step for log in found.logs if log.greatest_step is not None), None)
    attempt = ForeignAttempt(
        reader=READER,
        id=attempt_id(archive, folder, part),
        archive=archive,
        folder=folder,
        part=part,
        layout=layout,
        files=tuple(files),
        facts=found.facts,
        recorded=found.recorded,
        journal=found.journal,
        run=run_of(found, folder),
        item=item,
        task=found.task,
        commit=found.commit,
        pre=found.pre,
        repository=found.repository,
        agent=agent,
        model=model,
        model_asked=None if found.model_asked is None else found.model_asked.value,
        began=began,
        ended=ended,
        written=written,
        clock=clock,
        wall_s=wall_s if wall_s is not None else found.recorded.wall_s,
        budget_s=found.budget_s,
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        steps=found.steps if found.steps is not None else step,
        outcome=outcome,
        patch=found.patch,
        usages=tuple(usages),
        usage=usage,
        usage_source=source,
        usage_why=why,
        billed_usd=found.billed_usd,
        calls=None if found.answers is None else found.answers + len(found.failed_steps),
        failed=len(failed) if failed or found.answers is not None else None,
        failed_calls=failed[:MOST_CALLS],
        retries=sum(log.retries for log in found.logs) if found.logs else None,
        expert_shown=tuple(found.shown[:MOST_CALLS]),
        lines_as_shown=lines_in(found, found.shown_lines),
        lines_as_expert=lines_in(found, found.expert_lines),
        prompt_file=None if prompt is None else prompt.file,
        prompt_sha256=None if prompt is None else prompt.sha256(),
        prompt_template_sha256=(
            None if prompt is None else prompt.template_sha256((folder.rpartition("/")[2], item, found.task))
        ),
        prompt_chars=None if prompt is None else len(prompt.text),
        config_sha256=config_digest(found.settings),
        secrets=tuple(found.secrets[:MOST_CALLS]),
        legacy=_legacy(found),
        run_status=run_status,
        patch_status=patch_status,
        diagnosis=diagnosis,
        fingerprint=None if diagnosis is None else fingerprint(diagnosis),
        exit_and_patch=exit_and_patch,
        strict=strict,
        confirmed=strict and agrees and spoke,
    )
    attempt = attempt if found.exported is None else with_block(attempt, found.exported)
    return _without_secrets(attempt)


def _without_secrets(attempt: ForeignAttempt) -> ForeignAttempt:
    """The attempt with nothing in it that looks like a key. Evidence has been through that already."""
    told = (attempt.agent, attempt.model)
    free = [attempt.recorded.error, attempt.recorded.error_type, attempt.recorded.status, attempt.task, attempt.item]
    free += [attempt.commit, attempt.pre, attempt.model_asked, attempt.repository, attempt.folder, attempt.part]
    free += [each for one in told for pair in one.labels.items() for each in pair]
    free += [name for each in attempt.usages for name in each.models]
    free += [attempt.outcome.message, attempt.outcome.error] if attempt.outcome else []
    free += list(attempt.facts)
    free += [value for value in attempt.facts.values() if isinstance(value, str)]
    whole = "\n".join(each for each in free if each)
    if redact(whole) == whole:
        return attempt
    return ForeignAttempt.model_validate(redact_value(attempt.model_dump(), ()))


def lines_in(found: Gathered, others: set[bytes]) -> int | None:
    """Lines that the patch adds and that are among the others; null without a patch or without others."""
    if found.patch is None or found.patch.size == 0 or not others:
        return None
    return sum(line in others for line in found.patch_lines)


def best_usage(usages: Sequence[UsageSource]) -> tuple[Usage, SourceOfUsage | Literal["unknown"], str]:
    """The usage of the best source (they come best first), the source, and why it was taken."""
    if not usages:
        return Usage(), "unknown", "no file tells tokens"
    best = usages[0]
    others = ", ".join(dict.fromkeys(each.source for each in usages[1:]))
    why = f"the best of the sources that tell tokens{': before ' + others if others else ''}"
    if best.impossible:
        why += (
            f"; {len(best.impossible)} of its {best.records} records cannot be, so that their uncached input is unknown"
        )
    return best.usage, best.source, why


def _may_have_patch(found: Gathered, layout: Layout) -> bool:
    """Whether an attempt of this layout would leave a file of its patch beside its other files."""
    return layout in ("perf-agents-bench", "swe-bench-predictions") or found.patch is not None


def _failed_calls(found: Gathered) -> tuple[FailedCall, ...]:
    """Each failed call once: errors of steps, and tool calls without output that only logs name."""
    calls: dict[str, FailedCall] = {}
    mentioned = {name: missed for log in found.logs for name, missed in log.missed.items()}
    for index, (error, where) in enumerate(found.failed_steps):
        failure = provider.classify_text(error)
        if failure is None or (failure.fault != "model" and failure not in _REFUSED):
            continue
        named = _CALL.search(error)
        name = next((group for group in named.groups() if group), None) if named else None
        again = mentioned.get(name or "")
        calls[name or f"#{index}"] = FailedCall(
            failure=failure, call_id=name, mentions=again.mentions if again else 1, evidence=where
        )
    for log in found.logs:
        for name, missed in log.missed.items():
            if name not in calls:
                where = Evidence(file=log.file, line=missed.hit.line, excerpt=excerpt(missed.hit.text))
                calls[name] = FailedCall(
                    failure=F.TOOL_OUTPUT_MISSING, call_id=name, mentions=missed.mentions, evidence=where
                )
    return tuple(calls.values())


def _legacy(found: Gathered) -> Legacy:
    first = next((log.first_total for log in found.logs if log.first_total), None)
    steps = next((log for log in found.logs if log.steps), None)
    return Legacy(
        first_input=first[1] if first else None,
        first_output=first[2] if first else None,
        step_as_text=steps.step_as_text if steps else None,
        greatest_step=steps.greatest_step if steps else None,
        no_tool_output_matches=sum(log.matches for log in found.logs),
        retry_lines=sum(log.sleeps for log in found.logs),
    )
