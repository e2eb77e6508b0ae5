"""Rules on patches that are byte for byte another attempt's, and on workspaces that were not fresh."""

from collections.abc import Iterator

from speedproof.analysis.audit.finding import Found, Unseen, counted, facts, known, patch
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject, commit_of, known_name, worked
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import plain_name

_METRICS = "journal.json:metrics."
_HOUR = 3600
_MINUTE = 60
_MANY_FILES = 100
"""Files that a harness counts as changed beyond those of the patch, from which its workspace cannot have been fresh."""


def _groups(subject: Subject) -> Iterator[tuple[Entry, ...]]:
    """Attempts with the same patch bytes, oldest first."""
    groups: dict[str, list[Entry]] = {}
    for entry in subject.entries:
        held = entry.attempt.patch
        if held is not None and held.size:
            groups.setdefault(held.sha256, []).append(entry)
    return (tuple(members) for members in groups.values() if len(members) > 1)


def _blind(subject: Subject) -> Iterator[Unseen]:
    blind = sum(entry.attempt.patch is None for entry in subject.entries)
    if blind:
        yield Unseen("there is no patch file", blind)


def later(one: Entry, first: Entry) -> str:
    """How long after the first an attempt was concluded."""
    if one.at is None or first.at is None:
        return "at an unknown time after it"
    seconds = (one.at - first.at).total_seconds()
    if seconds < _MINUTE:
        return f"{seconds:.0f} s later"
    return f"{seconds / _MINUTE:.0f} min later" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h later"


def _same_as(one: Entry, first: Entry) -> str:
    size = one.attempt.patch.size if one.attempt.patch else 0
    return f"its patch of {size:,} bytes is byte for byte that of {first.name}, {later(one, first)}"


def _commits(one: Entry, first: Entry) -> str:
    mine, theirs = commit_of(one), commit_of(first)
    if mine is None or theirs is None:
        return "a commit is unknown"
    return f"the same commit {mine}" if mine == theirs else f"commit {mine}, and that one's was {theirs}"


def _agent(entry: Entry) -> str | None:
    told = entry.attempt.agent
    return known_name(told.value, told.confidence)


def _model(entry: Entry) -> str | None:
    told = entry.attempt.model
    name = known_name(told.value, told.confidence)
    return None if name is None else plain_name(name)


@rule(
    "patch-identical",
    "warning",
    "Patch identical to an earlier attempt's",
    why="Two attempts that found the same bytes are one observation, or the later one found the earlier one's work.",
    do="Count it once. Look whether it was copied: rules stale-workspace and concurrent-runs.",
)
def identical(subject: Subject) -> Iterator[Found | Unseen]:
    """Every later attempt with the bytes of an earlier one."""
    for group in _groups(subject):
        first = group[0]
        for one in group[1:]:
            said = f"{_same_as(one, first)}; {_commits(one, first)}"
            yield Found(said, (one, first), patch(one) + patch(first))
    yield from _blind(subject)


@rule(
    "patch-identical-other-commit",
    "error",
    "Patch identical to one for another commit",
    why="The same bytes cannot be the answer to two tasks: the workspace held the earlier one's change.",
    do="Leave the later one out. Give each attempt a fresh checkout.",
)
def other_commit(subject: Subject) -> Iterator[Found | Unseen]:
    """The same bytes for two commits."""
    for group in _groups(subject):
        for one, first in _differing(group, commit_of):
            yield Found(f"{_same_as(one, first)}; {_commits(one, first)}", (one, first), patch(one) + patch(first))
    yield from _blind(subject)


@rule(
    "patch-identical-other-agent",
    "error",
    "Patch identical to another agent's",
    why="Two agents do not write the same bytes: one found the other's work, or its record is filed under both.",
    do="Leave the later one out of every comparison of agents.",
)
def other_agent(subject: Subject) -> Iterator[Found | Unseen]:
    """The same bytes by two agents, both told by evidence."""
    for group in _groups(subject):
        for one, first in _differing(group, _agent):
            said = f"{_same_as(one, first)}; by {_agent(one)}, and that one by {_agent(first)}"
            yield Found(said, (one, first), patch(one) + patch(first))
    yield from _blind(subject)


@rule(
    "patch-identical-other-model",
    "error",
    "Patch identical to another model's",
    why="A score of the second model then counts the work of the first.",
    do="Leave the later one out of every comparison of models.",
)
def other_model(subject: Subject) -> Iterator[Found | Unseen]:
    """The same bytes by two models, both told by evidence."""
    for group in _groups(subject):
        for one, first in _differing(group, _model):
            names = f"by {one.attempt.model.value}, and that one by {first.attempt.model.value}"
            yield Found(f"{_same_as(one, first)}; {names}", (one, first), patch(one) + patch(first))
    yield from _blind(subject)


def _differing(group: tuple[Entry, ...], key: object) -> Iterator[tuple[Entry, Entry]]:
    """Each later attempt of which the key is another than that of the first of which it is known."""
    assert callable(key)
    known = [(entry, value) for entry in group if (value := key(entry)) is not None]
    for entry, value in known[1:]:
        if value != known[0][1]:
            yield entry, known[0][0]


@rule(
    "stale-workspace",
    "error",
    "A patch that the attempt cannot have made",
    why="Its workspace was not fresh: the patch holds what an earlier attempt, or somebody else, left there.",
    do="Leave it out of every rate. Give each attempt a fresh checkout and a fresh output folder.",
)
def stale(subject: Subject) -> Iterator[Found | Unseen]:
    """A patch without work, with an edit before the start, of another commit, or in a tree of changed files."""
    first_of = {one.name: group[0] for group in _groups(subject) for one in group[1:]}
    unknown = 0
    for entry in subject.entries:
        held, attempt = entry.attempt.patch, entry.attempt
        if held is None or not held.size:
            continue
        done, first = worked(entry), first_of.get(entry.name)
        signs = []
        if done is False:
            ran = "" if attempt.wall_s is None else f" in {attempt.wall_s:,.2f} s"
            steps = f"{counted(attempt.steps, 'step')} without an answer" if attempt.steps else "no step"
            signs.append(f"{steps}{ran}")
        edit = _number(entry, "time_to_first_edit_s")
        if edit is not None and edit < 1:
            signs.append(f"its first edit {edit:.3f} s after the start")
        if first is not None and commit_of(first) != commit_of(entry) and commit_of(entry) and commit_of(first):
            signs.append(f"made for commit {commit_of(first)}, not {commit_of(entry)}")
        changed = _number(entry, "changed_files_count")
        if changed is not None and changed > len(held.files) + _MANY_FILES:
            signs.append(f"{changed:,.0f} changed files counted, {len(held.files)} in the patch")
        unknown += done is None and not signs
        if not signs:
            continue
        same = "" if first is None else f"; {_same_as(entry, first)}"
        status = f"recorded as {attempt.recorded.status}" if attempt.recorded.status else "no status recorded"
        said = f"{status} with {held.size:,} bytes of patch, and {'; '.join(signs)}{same}"
        both = (entry,) if first is None else (entry, first)
        metrics = (f"{_METRICS}time_to_first_edit_s", f"{_METRICS}changed_files_count")
        numbers = known(entry, *metrics) + facts(entry, "journal.json", ".duration_s")
        yield Found(said, both, tuple(place for one in both for place in patch(one)) + numbers)
    if unknown:
        yield Unseen("no file tells steps, answers or tokens", unknown)


def _number(entry: Entry, name: str) -> float | None:
    value = entry.attempt.facts.get(_METRICS + name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


RULES = (identical, other_commit, other_agent, other_model, stale)
