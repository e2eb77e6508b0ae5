"""Rules on the files themselves: broken, missing, empty, never closed, or with a key in them."""

from collections.abc import Iterator
from typing import Literal

from speedproof.analysis.audit.finding import Found, Unseen, at, counted, place, shown
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Entry

_LONG_S = 5.0


def _problems(subject: Subject, what: Literal["broken", "damaged"]) -> Iterator[Found | Unseen]:
    for store in subject.archives:
        for problem in store.problems():
            if problem.what == what:
                owner = subject.owner(store.id, problem.path)
                spot = place(store.id, problem.path, text=problem.why)
                entries = () if owner is None else (owner,)
                yield Found(f"{problem.path}: {problem.why}", entries, (spot,), store.id)


@rule(
    "record-broken",
    "error",
    "A file that cannot be read",
    why="What it held is lost; whatever is counted without it is counted short.",
    do="Restore it from a copy, or say that it is missing.",
)
def broken(subject: Subject) -> Iterator[Found | Unseen]:
    """Files of which nothing could be read."""
    yield from _problems(subject, "broken")


@rule(
    "record-damaged",
    "warning",
    "A file that is damaged in part",
    why="What follows its damage was not read: steps, tokens and errors may be missing.",
    do="Restore it from a copy, or count its attempt as incomplete.",
)
def damaged(subject: Subject) -> Iterator[Found | Unseen]:
    """Files that were read as far as they go."""
    yield from _problems(subject, "damaged")


@rule(
    "journal-missing",
    "warning",
    "An attempt without a valid journal",
    why="A count over journals leaves it out, as if it had never been tried: usually the failures.",
    do="Count it: what its other files tell is in the import.",
)
def journal_missing(subject: Subject) -> Iterator[Found | Unseen]:
    """Folders of the earlier harness whose journal is missing, empty or broken."""
    for entry in subject.foreign:
        attempt = entry.attempt
        if attempt.layout == "perf-agents-bench" and not attempt.journal:
            file = next((each for each in attempt.files if each.path == "journal.json"), None)
            state = "there is none" if file is None else f"{file.size} bytes: {file.problem or 'not one'}"
            left = ", ".join(each.path for each in attempt.files[:6])
            spots = tuple(at(entry, each.path) for each in ([file] if file else attempt.files[:1]))
            yield Found(f"journal.json: {state}; what there is: {left}", (entry,), spots)


@rule(
    "log-empty",
    "note",
    "It ran, and left no word",
    why="Without logs and trajectory nothing but the harness's word tells what happened.",
    do="Keep stdout, stderr and the agent's own record of every attempt.",
)
def log_empty(subject: Subject) -> Iterator[Found | Unseen]:
    """An attempt that ran for a while and of which no log or record has a byte."""
    for entry in subject.foreign:
        attempt = entry.attempt
        kept = [f for f in attempt.files if f.kind in ("log", "trajectory", "rollout", "events", "result")]
        if (attempt.wall_s or 0) > _LONG_S and not any(file.size for file in kept):
            logs = counted(len(kept), "empty log") if kept else "no log"
            said = f"ran for {attempt.wall_s or 0:,.0f} s and left {logs}"
            yield Found(said, (entry,), tuple(at(entry, file.path) for file in kept or attempt.files[:1]))


@rule(
    "secret-in-log",
    "error",
    "A secret stands in a file",
    why="Whoever gets the archive gets the key. It is in every copy.",
    do="Revoke the key, then take it out of the files before they are passed on.",
)
def secret(subject: Subject) -> Iterator[Found | Unseen]:
    """What looks like a key, by kind and place; the value is nowhere in here."""
    for entry in (*subject.entries, *subject.collection.copies):
        kinds: dict[str, int] = {}
        for seen in entry.attempt.secrets:
            kinds[seen.kind] = kinds.get(seen.kind, 0) + seen.times
        if kinds:
            said = ", ".join(f"{kind} ({counted(times, 'time')})" for kind, times in kinds.items())
            yield Found(
                f"in its files: {said}", (entry,), tuple(shown(entry, s.evidence) for s in entry.attempt.secrets)
            )


@rule(
    "attempt-open",
    "warning",
    "One of our own attempts was never closed",
    why="Its harness was gone before the attempt ended: its facts are not sealed, and no status was derived.",
    do="Run `speedproof resume`: it seals what is left, and tries the item again.",
)
def attempt_open(subject: Subject) -> Iterator[Found | Unseen]:
    """Own attempts that are open though no process works on the run; sealed ones without a status."""
    held = {run.id for run in subject.runs if run.is_locked()}
    for run, row in subject.rows:
        if row.folder is None or run in held or (row.state != "open" and (row.state != "sealed" or row.run)):
            continue
        said = "it is still open, and no process works on the run" if row.state == "open" else "sealed without a status"
        yield Found(said, _entry(subject, row.name), (place(run, f"{row.folder}/attempt.json", text=said),), run)


@rule(
    "own-record-damaged",
    "error",
    "A record of our own is damaged",
    why="What stands in it cannot be read: calls, tokens and costs behind it are not counted.",
    do="Restore the run's folder from a copy; `speedproof explain` shows what is left.",
)
def own_damaged(subject: Subject) -> Iterator[Found | Unseen]:
    """Own records that cannot be read, and lines that are torn."""
    for run, row in subject.rows:
        entries = _entry(subject, row.name)
        if row.error is not None:
            yield Found(row.error, entries, (place(run, row.folder or "run.json", text=row.error),), run)
        if row.damaged_lines:
            said = f"{counted(row.damaged_lines, 'torn or damaged line')} in calls.jsonl"
            yield Found(said, entries, (place(run, f"{row.folder}/calls.jsonl", text=said),), run)
    for store in subject.runs:
        bad = store.events()[1]
        if bad:
            spots = tuple(place(store.id, "events.jsonl", line=each.line, text=each.excerpt) for each in bad)
            yield Found(f"{counted(len(bad), 'torn or damaged line')} in events.jsonl", (), spots, store.id)


def _entry(subject: Subject, name: str) -> tuple[Entry, ...]:
    return subject.collection.by_name.get(name, ())


RULES = (broken, damaged, journal_missing, log_empty, secret, attempt_open, own_damaged)
