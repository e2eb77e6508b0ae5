"""What must hold of a run that was killed and resumed: told from its records, its log, and the provider's ledger."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_provider import FATES, PROBE, RATE_LIMIT

from speedproof.diagnosis import RULES
from speedproof.execution.schedule import Schedule, replayed
from speedproof.execution.setup import setup_of
from speedproof.gateway import Patience
from speedproof.journal import AttemptStore, CallIntent, CallOutcome, RunStore, Usage
from speedproof.journal.events import AttemptBegan, AttemptSealed, LaneProbed, RetryPlanned, RunBegan
from speedproof.journal.failure import FailureClass as F
from speedproof.journal.status import Status
from speedproof.sandbox.cgroups import groups
from speedproof.workspace.mounts import mounts_below

MOST_TRIES = Patience().most_tries


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be."""

    what: str
    said: str


@dataclass(frozen=True)
class Outcome:
    """What became of an item."""

    item: str
    """Its task and lane."""
    state: str
    """Where it stands in the schedule."""
    run: str
    patch: str
    failure: str | None
    sha256: str | None
    """Of its patch."""


@dataclass(frozen=True)
class Call:
    """A model call on record."""

    attempt: str
    intent: CallIntent
    outcome: CallOutcome | None


def schedule_of(run: RunStore) -> Schedule:
    """Where the run stands."""
    manifest = run.manifest()
    setup = setup_of(manifest)
    return replayed(manifest.items, setup.retries, setup.breaker, run.events()[0])


def outcomes(run: RunStore) -> list[Outcome]:
    """The outcome of each item, by its last attempt."""
    schedule, found = schedule_of(run), []
    last = {store.folder.parent.name: store for store in run.attempts()}
    for name, item in schedule.items.items():
        status = last[name].status(RULES) if name in last else None
        patch = last[name].read().patch if status is not None else None
        found.append(
            Outcome(
                item=f"{item.plan.task} · {item.plan.lane}",
                state=schedule.state(item),
                run=status.run if status else "none",
                patch=status.patch if status else "none",
                failure=status.diagnosis.failure.value if status and status.diagnosis else None,
                sha256=patch.sha256 if patch else None,
            )
        )
    return found


def check(run: RunStore, ledger: Path, items: int) -> tuple[dict[str, int], list[Finding]]:
    """Figures of the run, and what is not as it must be."""
    stores = list(run.attempts())
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    calls = [call for store in stores for call in calls_of(store)]
    matched, findings = match(calls, [e for e in entries if not _of_probe(e)])
    probes = sum(event.calls for event in run.events()[0] if isinstance(event, LaneProbed))
    if (asked := sum(map(_of_probe, entries))) != probes:
        findings.append(Finding("probes", f"{asked} calls of probes in the ledger, {probes} on record"))
    findings += [*final(run, items), *numbered(run, stores)]
    statuses = [(store, store.status(RULES)) for store in stores]
    findings += [f for store, status in statuses for f in diagnosed(store, status, calls, matched)]
    runs = Counter(status.run for _, status in statuses if status is not None)
    figures = {
        "items": len(run.manifest().items),
        "items_done": sum(o.state == "done" for o in outcomes(run)),
        "attempts": len(stores),
        **{f"attempts_{name}": count for name, count in sorted(runs.items())},
        "model_calls_on_record": len(calls),
        "calls_cut_by_a_kill": sum(call.outcome is None for call in calls),
        "requests_in_the_ledger": len(entries),
        "of_them_by_preflight": asked,
        "of_them_with_a_fault": sum(e["fault"] is not None for e in entries),
        "usages_compared": sum(c.outcome is not None and c.outcome.usage is not None for c in calls),
    }
    return figures, findings


def _of_probe(entry: dict[str, Any]) -> bool:
    return bool(entry["item"].startswith(f"{PROBE}/"))


def calls_of(store: AttemptStore) -> Iterator[Call]:
    """The model calls of an attempt, side routes left out."""
    lines, _ = store.calls()
    after = {line.call: line for _, line in lines if isinstance(line, CallOutcome)}
    for _, line in lines:
        if isinstance(line, CallIntent) and line.protocol != "other":
            yield Call(store.name, line, after.get(line.call))


# Items and attempts


def final(run: RunStore, items: int) -> Iterator[Finding]:
    """Every item is done."""
    found = outcomes(run)
    if len(found) != items:
        yield Finding("items", f"{len(found)} instead of {items}")
    for outcome in found:
        if outcome.state != "done":
            yield Finding("item", f"{outcome.item} is {outcome.state}")


def numbered(run: RunStore, stores: Sequence[AttemptStore]) -> Iterator[Finding]:
    """Attempts are numbered without a gap, sealed, told once each, and none was made without a reason on record."""
    events, bad = run.events()
    torn_once_a_process = sum(isinstance(e, RunBegan) for e in events)
    if len(bad) > torn_once_a_process or any(not line.torn for line in bad):
        yield Finding("log", f"{len(bad)} lines cannot be read")
    begins = [event for event in events if isinstance(event, AttemptBegan)]
    began, began_at = Counter((e.item, e.number) for e in begins), {(e.item, e.number): e.at for e in begins}
    sealed = {(e.item, e.number): e for e in events if isinstance(e, AttemptSealed)}
    planned = {(e.item, e.after) for e in events if isinstance(e, RetryPlanned)}
    told = Counter((e.item, e.number) for e in events if isinstance(e, AttemptSealed))
    folders = [(store.folder.parent.name, int(store.folder.name)) for store in stores]
    for key, store in zip(folders, stores, strict=True):
        attempt, name = store.read(), store.name
        if attempt.state != "sealed" or store.status(RULES) is None:
            yield Finding("attempt", f"{name} is not sealed, or has no status")
        if told[key] != 1 or began[key] > 1:
            yield Finding(
                "attempt", f"{name}: the log says {began[key]} times that it began, {told[key]} that it ended"
            )
        before = (key[0], key[1] - 1)
        if key[1] == 1:
            continue
        if before not in sealed:
            yield Finding("attempt", f"{name}: nothing is on record of the one before it")
        elif before not in planned and sealed[before].run not in {"crashed", "cancelled"}:
            yield Finding("attempt", f"{name} was made though the one before it is {sealed[before].run}")
        if before in sealed and key in began_at and began_at[key] < sealed[before].at:
            yield Finding("attempt", f"{name} began before the one before it was sealed")
    for key in {*told, *began} - set(folders):
        yield Finding("attempt", f"the log tells of {key}, of which there is no record")


# Diagnoses


def diagnosed(
    store: AttemptStore, status: Status | None, calls: Sequence[Call], matched: dict[tuple[str, int], dict[str, Any]]
) -> Iterator[Finding]:
    """What the attempt is said to have met is what the ledger says of its last request."""
    if status is None:
        return
    mine = [call for call in calls if call.attempt == store.name]
    entry = matched.get((store.name, mine[-1].intent.call)) if mine else None
    fault: str | None = None if entry is None else entry["fault"]
    met = FATES[fault].met if fault is not None and fault in FATES else None
    failure = status.diagnosis.failure if status.diagnosis else None
    fate = "" if entry is None else entry["fate"]
    match status.run:
        case "crashed":
            right = failure is F.INTERRUPTED and store.read().recovered_at is not None
        case "completed":
            should = {"idle": F.NO_PATCH, "gives_up": F.GAVE_UP}.get(fate)
            right = fault is None and (failure is should or (failure is F.NO_PATCH and not mine))
        case _ if fault == RATE_LIMIT:
            right = failure is F.RATE_LIMITED
        case _:
            right = met is not None and (status.run, failure) == (met.run, met.failure)
    if not right:
        said = status.diagnosis.message if status.diagnosis else ""
        yield Finding("diagnosis", f"{store.name} met {fault or 'no fault'} ({fate}): {status.run}, {failure}, {said}")


# The ledger


def match(
    calls: Sequence[Call], entries: Sequence[dict[str, Any]]
) -> tuple[dict[tuple[str, int], dict[str, Any]], list[Finding]]:
    """The ledger's entry of each call's answer, by attempt and call; what is in one of the two and not in the other."""
    findings: list[Finding] = []
    by_id = {entry["id"]: entry for entry in entries}
    by_digest: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_digest[entry["digest"]].append(entry)
    matched: dict[tuple[str, int], dict[str, Any]] = {}
    for call in calls:
        name = (call.attempt, call.intent.call)
        outcome = call.outcome
        if outcome is None or outcome.provider_request_id is None:
            continue
        answer = by_id.pop(outcome.provider_request_id, None)
        if answer is None:
            findings.append(Finding("ledger", f"{name}: its answer is not in the ledger, or belongs to two calls"))
            continue
        matched[name] = answer
        by_digest[answer["digest"]].remove(answer)
        findings += [Finding("ledger", f"{name}: {said}") for said in _differs(call, outcome, answer)]
    for call in calls:
        waiting = by_digest[call.intent.sent_sha256 or ""]
        for retry in call.outcome.retries if call.outcome else ():  # tries that the agent never saw
            same = [entry for entry in waiting if entry["status"] == retry.status]
            if same:
                waiting.remove(same[0])
            elif retry.status is not None:
                findings.append(Finding("ledger", f"{call.attempt}: a try with {retry.status} is not in the ledger"))
    for call in calls:  # cut off before an answer was on record
        waiting = by_digest[call.intent.sent_sha256 or ""]
        most = MOST_TRIES if call.outcome is None else int(call.outcome.provider_request_id is None)
        if taken := waiting[:most]:
            del waiting[:most]
            matched[call.attempt, call.intent.call] = taken[-1]
    findings += [
        Finding("ledger", f"{entry['id']} of {entry['item']} ({entry['status']}) is matched by no call on record")
        for left in by_digest.values()
        for entry in left
    ]
    return matched, findings


def _differs(call: Call, outcome: CallOutcome, entry: dict[str, Any]) -> Iterator[str]:
    if entry["digest"] != call.intent.sent_sha256:
        yield "another request"
    if entry["status"] != outcome.status:
        yield f"status {outcome.status}, in the ledger {entry['status']}"
    usage = None if outcome.usage is None else outcome.usage.model_dump(exclude_none=True)
    if outcome.complete and usage != entry["usage"]:
        yield f"usage {usage}, in the ledger {entry['usage']}"
    if not outcome.complete and usage is not None:
        yield "a usage of an answer that did not arrive whole"
    least = (outcome.at_least or Usage()).model_dump(exclude_none=True)
    if any(value > ((entry["usage"] or {}).get(key) or 0) for key, value in least.items()):
        yield f"at least {least}, in the ledger {entry['usage']}"


# What is left


def left_behind(folder: Path, cache: Path, harnesses: Sequence[int]) -> list[Finding]:
    """Processes, mounts, control groups and folders of work that outlived the run."""
    found = [Finding("process", said) for said in _processes(folder)]
    found += [Finding("mount", str(mount)) for mount in mounts_below(cache)]
    own = {str(pid) for pid in harnesses}
    found += [Finding("control group", g.name) for g in groups() if own & set(g.name.split("."))]
    found += [Finding("work", str(place)) for place in (cache / "attempts").glob("*")]
    found += [Finding("work", str(place)) for place in (cache / "work").glob("*/*")]
    return found


def _processes(folder: Path) -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            seen = (process / "mountinfo").read_text() + (process / "cmdline").read_text()
            where = str((process / "cwd").readlink())
            if int(process.name) != os.getpid() and (str(folder) in seen or where.startswith(str(folder))):
                yield (process / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it ended
