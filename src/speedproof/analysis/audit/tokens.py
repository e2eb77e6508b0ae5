"""Rules on tokens: told nowhere, told twice, or told as they cannot be."""

from collections.abc import Iterator

from speedproof.analysis.audit.finding import Found, Place, Unseen, at, counted, recorded
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject, worked
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import UsageSource

TOLERANCE = 0.02
"""Part by which two sources may differ: a running total in a log lacks the last answers when its tail is lost."""
FEW = 1_000
"""Tokens by which they may differ in any case."""
_RECORDS = ("journal.json:", "run_summary.json:")


@rule(
    "tokens-not-recorded",
    "warning",
    "Tokens missing in the record, though they stand in the logs",
    why="A sum over the record is a sum over nothing; who parses the logs by hand takes the first running total.",
    do="Use the tokens of this import: each with its source.",
)
def not_recorded(subject: Subject) -> Iterator[Found | Unseen]:
    """The harness's own records name no tokens, and the agent's files do."""
    without = 0
    for entry in subject.foreign:
        attempt = entry.attempt
        if attempt.layout != "perf-agents-bench":
            continue
        if not attempt.journal:
            without += 1
        elif attempt.usages and not any(_names_tokens(key) for key in attempt.facts):
            best = attempt.usages[0]
            said = f"the record names no tokens; {_told(best)} stand in {best.file} ({best.source})"
            where = at(entry, best.file, line=best.line, path=best.place, text=_told(best))
            yield Found(said, (entry,), (where, *recorded(entry)))
    if without:
        yield Unseen("there is no journal", without)


def _names_tokens(key: str) -> bool:
    return key.startswith(_RECORDS) and "token" in key.casefold()


def _told(source: UsageSource) -> str:
    if source.usage.output is None and source.input is None:
        return f"{source.total or 0:,} tokens in all"
    return f"{source.input or 0:,} input and {source.usage.output or 0:,} output tokens"


@rule(
    "usage-sources-disagree",
    "warning",
    "Sources of tokens disagree",
    why=f"Two files of one attempt tell different tokens, by more than {TOLERANCE:.0%} and {FEW:,} tokens, which a "
    "lost end of a log explains. What it cost depends on which one is believed.",
    do="Believe the better source (wire, then trajectory); the lesser one was cut off, or counts something else.",
)
def disagree(subject: Subject) -> Iterator[Found | Unseen]:
    """Two sources of one attempt that cannot both be right."""
    single = 0
    for entry in subject.entries:
        usages = entry.attempt.usages
        for other in usages[1:]:
            by = _difference(usages[0], other)
            if by is not None:
                best = usages[0]
                said = f"{best.source}: {_told(best)}; {other.source}: {_told(other)}; {by:.1%} apart"
                places = tuple(at(entry, s.file, line=s.line, path=s.place, text=_told(s)) for s in (best, other))
                yield Found(said, (entry,), places)
        single += len(usages) == 1
    if single:
        yield Unseen("only one source tells their tokens", single)


def _difference(best: UsageSource, other: UsageSource) -> float | None:
    """The greatest part by which they differ; null when that is tolerable, or they tell nothing that is comparable."""
    totals = [each.total if each.total is not None else _sum(each) for each in (best, other)]
    pairs = [(best.input, other.input), (best.usage.output, other.usage.output), (totals[0], totals[1])]
    apart = [
        abs(mine - theirs) / max(mine, theirs)
        for mine, theirs in pairs
        if mine is not None and theirs is not None and abs(mine - theirs) > FEW
    ]
    return max((part for part in apart if part > TOLERANCE), default=None)


def _sum(source: UsageSource) -> int | None:
    if source.input is None or source.usage.output is None:
        return None
    return source.input + source.usage.output


@rule(
    "usage-impossible",
    "error",
    "Usage that cannot be",
    why="More cached than input tokens, or fewer than none: whoever subtracts gets a negative cost.",
    do="Nothing can be done for this attempt: its uncached input is unknown, and its cost with it.",
)
def impossible(subject: Subject) -> Iterator[Found | Unseen]:
    """A source that contradicts itself."""
    for entry in subject.entries:
        for source in entry.attempt.usages:
            for what in source.impossible:
                path = what.partition(":")[0] if "[" in what else source.place
                yield Found(what, (entry,), (at(entry, source.file, line=source.line, path=path, text=what),))


@rule(
    "usage-unknown",
    "note",
    "Work without known tokens",
    why="A model answered, or may have, and no file tells what that took: every sum of tokens and cost is too low.",
    do="Count these attempts as unknown beside each sum, never as 0.",
)
def unknown(subject: Subject) -> Iterator[Found | Unseen]:
    """An attempt that worked, or ran for a minute and may have, of which no tokens are told."""
    for entry in subject.entries:
        attempt = entry.attempt
        done = worked(entry)
        if attempt.usages or done is False or (done is None and (attempt.wall_s or 0) < 60):
            continue
        ran = "" if attempt.wall_s is None else f"; it ran for {attempt.wall_s:,.0f} s"
        steps = "" if attempt.steps is None else f"; it took {counted(attempt.steps, 'step')}"
        yield Found(f"no file tells tokens{ran}{steps}", (entry,), _files(entry))


def _files(entry: Entry) -> tuple[Place, ...]:
    return tuple(at(entry, file.path) for file in entry.attempt.files if file.kind in ("log", "trajectory", "journal"))[
        :3
    ]


RULES = (not_recorded, disagree, impossible, unknown)
