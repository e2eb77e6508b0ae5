"""Speedproof's own attempts in an archive: linked to their own records, with the status that these have."""

from collections.abc import Iterator
from pathlib import Path

from speedproof.archives.attempt import READER, attempt_id
from speedproof.diagnosis import derive
from speedproof.diagnosis.fingerprint import fingerprint
from speedproof.journal import AttemptStore, RunStore
from speedproof.journal.base import Evidence
from speedproof.journal.foreign import ForeignAttempt
from speedproof.journal.foreign_parts import Clock, ForeignFile, ForeignPatchStatus, Recorded, Told, UsageSource
from speedproof.journal.status import Status


def read_own(archive: str, root: Path, folder: str, files: tuple[ForeignFile, ...]) -> ForeignAttempt:
    """The record of one of our own attempts. Raises RecordError when its own record is damaged."""
    store = AttemptStore(root / folder)
    attempt = store.read()
    status = _status(store)
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
    return ForeignAttempt(
        reader=READER,
        id=attempt_id(archive, folder, None),
        archive=archive,
        folder=folder,
        layout="speedproof",
        files=files,
        recorded=Recorded(exit_code=process.exit_code if process else None, wall_s=process.wall_s if process else None),
        journal=True,
        run=attempt.run,
        item=attempt.item,
        task=attempt.task,
        agent=Told(value=attempt.agent, version=attempt.agent_version, confidence="direct", evidence=(where,)),
        model=Told(value=attempt.model, confidence="direct", evidence=(where,)),
        model_asked=attempt.model,
        began=attempt.opened_at,
        ended=attempt.sealed_at,
        written=attempt.sealed_at,
        clock=Clock(offset_s=0, basis="our own times are UTC"),
        wall_s=process.wall_s if process else None,
        exit_code=process.exit_code if process else None,
        signal=process.signal if process else None,
        steps=attempt.outcome.steps if attempt.outcome else None,
        outcome=attempt.outcome,
        usages=usages,
        usage=status.usage,
        usage_source="wire" if usages else "unknown",
        usage_why="seen on the wire" if usages else "no call was recorded",
        calls=status.calls,
        failed=status.failed_calls,
        run_status=status.run,
        patch_status=patch_status,
        diagnosis=status.diagnosis,
        fingerprint=None if status.diagnosis is None else fingerprint(status.diagnosis),
        exit_and_patch=status.exit_and_patch,
        strict=status.strict,
        confirmed=status.confirmed,
        own=store.name,
    )


def own_attempts(run: RunStore) -> Iterator[ForeignAttempt]:
    """Every attempt of a run whose own record can be read, as an archive's would be; nothing is imported for it."""
    for store in run.attempts():
        folder = store.folder.relative_to(run.folder).as_posix()
        files = tuple(
            ForeignFile(path=path.relative_to(store.folder).as_posix(), size=path.stat().st_size, kind="other")
            for path in sorted(store.folder.rglob("*"))
            if path.is_file()
        )
        yield read_own(run.id, run.folder, folder, files)


def _status(store: AttemptStore) -> Status:
    """The status derived last; what the rules say now where none was derived."""
    found = [store.status(path.stem) for path in sorted((store.folder / "derived").glob("[!.]*.json"))]
    known = [status for status in found if status is not None]
    return max(known, key=lambda status: status.derived_at) if known else derive(store, alive=False)
