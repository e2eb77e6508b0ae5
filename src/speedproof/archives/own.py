"""Speedproof's own attempts as an archive's would be: from their own records, with the status that these have."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from speedproof.agents.reading import mapping, sequence
from speedproof.archives.attempt import MOST_CALLS, READER, attempt_id, lines_in
from speedproof.archives.content import Unreadable, read_whole
from speedproof.archives.gathered import Gathered, Seen
from speedproof.archives.kind import Content
from speedproof.archives.patch import patch_of
from speedproof.archives.prompt import of_file
from speedproof.archives.settings import as_text, configured
from speedproof.archives.shown import added_lines, look_for_expert
from speedproof.diagnosis import derive, derived
from speedproof.diagnosis.calls import classify
from speedproof.diagnosis.facts import Facts, excerpt
from speedproof.diagnosis.fingerprint import fingerprint
from speedproof.errors import InputError, RecordError
from speedproof.journal import Attempt, AttemptStore, RunStore
from speedproof.journal.base import Evidence, digest_of
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import (
    Clock,
    FailedCall,
    ForeignFile,
    ForeignPatchStatus,
    Recorded,
    Told,
    UsageSource,
)
from speedproof.journal.status import Status

_COMMIT = re.compile(r"[0-9a-f]{7,40}")
_AGAIN = b'"retries":[{'


@dataclass(frozen=True)
class Source:
    """Where a task comes from, as its suite says."""

    repository: str | None = None
    """Name of the repository."""
    commit: str | None = None
    """The expert's commit; null for a branch or tag, which may have moved, and for releases."""
    pre: str | None = None
    """The commit that agents start from; null likewise."""


def read_own(
    archive: str, root: Path, folder: str, files: tuple[ForeignFile, ...], source: Source | None = None
) -> ForeignAttempt:
    """The record of one of our own attempts. Raises RecordError when its own record is damaged."""
    store = AttemptStore(root / folder)
    attempt = store.read()
    status = status_of_own(store)
    process = attempt.process
    patch_status: ForeignPatchStatus = "present"
    if status.patch != "applied" and status.patch != "unapplied":
        patch_status = status.patch
    where = Evidence(file="attempt.json")
    usages: tuple[UsageSource, ...] = ()
    if status.usage_source == "wire":
        usages = (
            UsageSource(
                source="wire",
                file="calls.jsonl",
                usage=status.usage,
                input=status.usage.input,
                records=status.calls - status.usage_unknown_calls,
                unknown=status.usage_unknown_calls,
            ),
        )
    source = source or Source()
    found = Gathered(commit=source.commit)
    _read_prompt(found, store, attempt)
    _read_patch(found, store, attempt)
    claims = None if attempt.outcome is None else attempt.outcome.claims_success
    limits = mapping(attempt.settings.get("limits"))
    budget_s = limits.get("wall_s")
    signal = process.signal if process else None
    exit_code = process.exit_code if process else None
    return ForeignAttempt(
        reader=READER,
        id=attempt_id(archive, folder, None),
        archive=archive,
        folder=folder,
        layout="speedproof",
        files=files,
        recorded=Recorded(
            status=None if claims is None else "success" if claims else "error",
            success=claims,
            error=attempt.outcome.error if attempt.outcome else None,
            exit_code=exit_code if signal is None else -signal,
            wall_s=process.wall_s if process else None,
            written=attempt.sealed_at.timestamp() if attempt.sealed_at else None,
        ),
        journal=True,
        run=attempt.run,
        item=attempt.item,
        task=attempt.task,
        commit=source.commit,
        pre=source.pre,
        repository=source.repository,
        agent=Told(value=attempt.agent, version=attempt.agent_version, confidence="direct", evidence=(where,)),
        model=Told(value=attempt.model, confidence="direct", evidence=(where,)),
        model_asked=attempt.model,
        began=attempt.opened_at,
        ended=attempt.sealed_at,
        written=attempt.sealed_at,
        clock=Clock(offset_s=0, basis="our own times are UTC"),
        wall_s=process.wall_s if process else None,
        budget_s=float(budget_s) if isinstance(budget_s, int | float) else None,
        exit_code=exit_code,
        signal=signal,
        steps=attempt.outcome.steps if attempt.outcome else None,
        outcome=attempt.outcome,
        patch=found.patch,
        usages=usages,
        usage=status.usage,
        usage_source="wire" if usages else "unknown",
        usage_why="seen on the wire" if usages else "no call was recorded",
        billed_usd=attempt.outcome.cost_usd if attempt.outcome else None,
        calls=status.calls,
        failed=status.failed_calls,
        failed_calls=_failed_calls(store) if status.failed_calls else (),
        retries=_retries(store),
        expert_shown=tuple(found.shown),
        lines_as_shown=lines_in(found, found.shown_lines),
        prompt_file=None if found.prompt is None else found.prompt.file,
        prompt_sha256=attempt.prompt_sha256 if found.prompt is None else found.prompt.sha256(),
        prompt_template_sha256=(
            None if found.prompt is None else found.prompt.template_sha256((attempt.item, attempt.task))
        ),
        prompt_chars=None if found.prompt is None else len(found.prompt.text),
        config_sha256=digest_of([attempt.settings, sorted((c.name, str(c.value)) for c in attempt.configured)]),
        run_status=status.run,
        patch_status=patch_status,
        diagnosis=status.diagnosis,
        fingerprint=None if status.diagnosis is None else fingerprint(status.diagnosis),
        exit_and_patch=status.exit_and_patch,
        strict=status.strict,
        confirmed=status.confirmed,
        own=store.name,
    )


def own_attempts(run: RunStore, unread: list[str]) -> Iterator[ForeignAttempt]:
    """Every attempt of a run, as an archive's would be; nothing is imported for it.

    Commits are told by the run's suite, where that is still there and has the task as it was. `unread` takes what could
    not be read, and why: a damaged record, or one whose files come and go at this moment.
    """
    sources = _sources(run)
    for store in run.attempts():
        folder = store.folder.relative_to(run.folder).as_posix()
        try:
            found = read_own(run.id, run.folder, folder, _files(store), sources.get(store.folder.parent.name))
        except (RecordError, FileNotFoundError) as error:
            unread.append(f"{store.name}: {error}")
            continue
        yield found


def _files(store: AttemptStore) -> tuple[ForeignFile, ...]:
    return tuple(
        ForeignFile(path=path.relative_to(store.folder).as_posix(), size=path.stat().st_size, kind="other")
        for path in sorted(store.folder.rglob("*"))
        if path.is_file()
    )


def settings_of(store: AttemptStore) -> Iterator[Seen]:
    """Model parameters: as the agent was configured with them, and as they were sent on the wire."""
    for one in store.read().configured:
        yield configured(one.name, one.name, as_text(one.value), one.file, one.line)
    for parameter in status_of_own(store).parameters:
        for seen in parameter.sent:
            value = as_text(seen.value)
            told = "not sent" if value is None else f"{parameter.name}: {value}"
            text = excerpt(f"{told}, in {seen.calls} calls, first in call {seen.first_call}")
            yield Seen(parameter.name, value, "sent", Evidence(file="calls.jsonl", excerpt=text), parameter.name)


def status_of_own(store: AttemptStore) -> Status:
    """The status derived last; what the rules say now where none was derived."""
    return derived(store) or derive(store, alive=False)


def _sources(run: RunStore) -> Mapping[str, Source]:
    """Item → where its task comes from; none where the suite is gone or has another task under its name."""
    from speedproof.tasks.models import GitSource  # importing an archive needs no suite, and loading this takes long
    from speedproof.tasks.suite import load_suite

    manifest = run.manifest()
    try:
        suite = load_suite(Path(manifest.suite_file))
        digests = {task.name: suite.task_digest(task) for task in suite.suite.tasks}
    except InputError:
        return {}  # moved or changed since: the commits are unknown then, and stay null
    tasks = {task.name: task.source for task in suite.suite.tasks}
    found = {}
    for item in manifest.items:
        source = tasks.get(item.task)
        if digests.get(item.task) != item.task_digest or source is None:
            continue
        if isinstance(source, GitSource):
            name = source.git.rstrip("/").rpartition("/")[2].removesuffix(".git")
            found[item.id] = Source(name or None, _commit(source.expert), _commit(source.base))
        else:
            found[item.id] = Source(source.pypi.package)
    return found


def _commit(name: str | None) -> str | None:
    return name if name is not None and _COMMIT.fullmatch(name) else None


def _bytes(store: AttemptStore, name: str) -> bytes | None:
    """The bytes of a file of the attempt; null when it is not there, or too large."""
    try:
        return read_whole(str(store.folder / name))
    except Unreadable:
        return None


def _read_prompt(found: Gathered, store: AttemptStore, attempt: Attempt) -> None:
    data = _bytes(store, "prompt.md")
    if data is None or (
        attempt.prompt_sha256 is not None and hashlib.sha256(data).hexdigest() != attempt.prompt_sha256
    ):
        return
    found.prompt = of_file("prompt.md", data)
    look_for_expert(found, Content("prompt.md", "", len(data), kind="text", data=data))


def _read_patch(found: Gathered, store: AttemptStore, attempt: Attempt) -> None:
    data = None if attempt.patch is None else _bytes(store, "patch.diff")
    if data is not None:
        found.patch, found.patch_lines = patch_of("patch.diff", data), list(added_lines(data))


def _failed_calls(store: AttemptStore) -> tuple[FailedCall, ...]:
    failed = [call for call in Facts(store).calls if call.failed][:MOST_CALLS]
    return tuple(
        FailedCall(
            failure=classify(call),
            mentions=1 + (len(call.outcome.retries) if call.outcome else 0),
            evidence=call.evidence,
        )
        for call in failed
    )


def _retries(store: AttemptStore) -> int | None:
    """Failed tries inside calls, which the gateway made again; null when no call was recorded."""
    data = _bytes(store, "calls.jsonl")
    if data is None:
        return None
    lines = (line for line in data.split(b"\n") if _AGAIN in line) if _AGAIN in data else ()
    return sum(_tries(line) for line in lines)


def _tries(line: bytes) -> int:
    try:
        return len(sequence(mapping(from_json(line)).get("retries")))
    except ValueError:
        return 0  # a torn line: the status counts its call as failed
