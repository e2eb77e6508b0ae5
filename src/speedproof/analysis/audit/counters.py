"""Rules on counters that do not add up: what a harness counted, beside what lies in the folder."""

from collections.abc import Iterator
from typing import Any

from speedproof.analysis.audit.finding import Found, Unseen, counted, fact, patch, shown
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import ForeignPatch

_METRICS = "journal.json:metrics."
_SUMMARY = "run_summary.json:"
_CLOSE_S = 1.0
_MOST = 5


def _number(entry: Entry, key: str) -> float | None:
    value = entry.attempt.facts.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


@rule(
    "metrics-disagree",
    "warning",
    "The journal's metrics do not fit its patch",
    why="Files, lines and commits were counted in another state of the workspace than the patch was made from.",
    do="Count from the patch. Find out what else was in the workspace.",
)
def metrics(subject: Subject) -> Iterator[Found | Unseen]:
    """changed_files_count, patch_size_loc, commit_count and violations_count beside patch and targets."""
    blind = 0
    for entry in subject.foreign:
        held = entry.attempt.patch
        keys = [key for key in entry.attempt.facts if key.startswith(_METRICS)]
        if held is None or not keys:
            blind += 1
            continue
        changed, lines = _number(entry, _METRICS + "changed_files_count"), _number(entry, _METRICS + "patch_size_loc")
        commits, violations = _number(entry, _METRICS + "commit_count"), _number(entry, _METRICS + "violations_count")
        disallowed = sum(key.startswith("diff_targets.json:disallowed[") for key in entry.attempt.facts)
        wrong: dict[str, str] = {}
        if changed is not None and changed != len(held.files):
            wrong["changed_files_count"] = f"{counted(changed, 'changed file')}, {len(held.files)} in the patch"
        if lines is not None and lines != held.added + held.removed:
            wrong["patch_size_loc"] = f"{counted(lines, 'line')}, {held.added + held.removed} in the patch"
        if commits is not None and (commits > 0) != (held.size > 0):
            wrong["commit_count"] = f"{counted(commits, 'commit')}, and a patch of {held.size:,} bytes"
        if violations is not None and violations == 0 and disallowed:
            wrong["violations_count"] = f"no violation, {counted(disallowed, 'file')} not allowed"
        if wrong:
            places = tuple(fact(entry, _METRICS + name) for name in wrong)
            yield Found(f"counted: {'; '.join(wrong.values())}", (entry,), places + patch(entry))
    if blind:
        yield Unseen("there are no metrics, or no patch file", blind)


@rule(
    "targets-disagree",
    "note",
    "The list of changed files does not fit the patch",
    why="The harness judged other changes than the patch holds.",
    do="Do not use its word on what was allowed; look at the patch.",
)
def targets(subject: Subject) -> Iterator[Found | Unseen]:
    """`changed` of diff_targets.json beside the files of the patch."""
    for entry in subject.foreign:
        held, found = entry.attempt.patch, entry.attempt.facts
        listed = {str(v): key for key, v in found.items() if key.startswith("diff_targets.json:changed[")}
        if held is None or "diff_targets.json:ok" not in found or (not held.size and not listed):
            continue
        spare, missing = sorted(set(listed) - set(held.files)), sorted(set(held.files) - set(listed))
        if spare or missing:
            parts = [f"listed, not in the patch: {_few(spare)}"] if spare else []
            parts += [f"in the patch, not listed: {_few(missing)}"] if missing else []
            places = tuple(fact(entry, listed[name]) for name in spare[:_MOST]) or (
                fact(entry, "diff_targets.json:ok"),
            )
            yield Found("; ".join(parts), (entry,), places + patch(entry))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return ", ".join(name[:200] for name in names[:_MOST]) + more


@rule(
    "summary-disagrees",
    "warning",
    "The summary says otherwise than the files beside it",
    why="Summaries are made afterwards; tables made from them repeat what is wrong in them.",
    do="Count from journals and patches.",
)
def summary(subject: Subject) -> Iterator[Found | Unseen]:
    """run_summary.json beside journal and patch: status, duration, patch and its size."""
    blind = 0
    for entry in subject.foreign:
        found, held = entry.attempt.facts, entry.attempt.patch
        if _SUMMARY + "agent.status" not in found:
            blind += 1
            continue
        beside: dict[str, Any] = {}
        if entry.attempt.journal:
            beside["agent.status"] = entry.attempt.recorded.status
            beside["agent.duration_s"] = entry.attempt.recorded.wall_s
        if held is not None:
            beside["agent.patch_generated"] = held.size > 0
            beside["agent.patch_stats.files_changed"] = len(held.files)
            beside["agent.patch_stats.lines_added"] = held.added
            beside["agent.patch_stats.lines_removed"] = held.removed
        wrong = {
            name: f"{name.rpartition('.')[2]} {found[_SUMMARY + name]}, and it is {value}"
            for name, value in beside.items()
            if _SUMMARY + name in found and not _fits(found[_SUMMARY + name], value)
        }
        if wrong:
            places = tuple(fact(entry, _SUMMARY + name) for name in wrong)
            yield Found(f"run_summary.json says {'; '.join(wrong.values())}", (entry,), places + patch(entry))
    if blind:
        yield Unseen("there is no summary", blind)


def _fits(said: Any, value: Any) -> bool:
    """Whether they are equal, or one of them says nothing; a duration of 0 says nothing."""
    if said is None or value is None:
        return said is None or not value
    if isinstance(said, float) or isinstance(value, float):
        return isinstance(said, int | float) and abs(said - value) <= _CLOSE_S
    return bool(said == value)


@rule(
    "prediction-disagrees",
    "error",
    "The prediction is not the attempt's patch",
    why="What would be scored is not what the attempt made.",
    do="Make the prediction again from the patch file.",
)
def prediction(subject: Subject) -> Iterator[Found | Unseen]:
    """prediction.jsonl beside the patch: one of them, and the same bytes."""
    blind = 0
    for run in subject.collection.by_run.values():
        with_one = sum(bool(_predictions(entry)) for entry in run)
        for entry in run:
            held, keys = entry.attempt.patch, _predictions(entry)
            if held is None or not with_one or entry.attempt.own:
                blind += 1
                continue
            said = _against_patch(held, keys, entry.attempt.facts, with_one)
            if said is not None:
                yield Found(said, (entry,), tuple(fact(entry, key) for key in keys) + patch(entry))
    if blind:
        yield Unseen("there are no predictions beside patch files", blind)


def _predictions(entry: Entry) -> list[str]:
    """The patches in its predictions, as facts."""
    return [k for k in entry.attempt.facts if k.startswith("prediction.json") and k.endswith("].model_patch")]


def _against_patch(held: ForeignPatch, keys: list[str], found: dict[str, Any], others: int) -> str | None:
    """What is wrong with the predictions of an attempt, beside its patch; null when nothing is."""
    if not keys:
        return f"it has a patch and no prediction; {counted(others, 'attempt')} of its run have" if held.size else None
    if len(keys) > 1:
        return f"{len(keys)} predictions for one attempt"
    value = found[keys[0]]
    digest, size = (value.get("sha256"), value.get("bytes")) if isinstance(value, dict) else (None, 0)
    if digest == held.sha256 or (not size and not held.size):
        return None
    return f"the prediction holds {size or 0:,} bytes, and the patch file {held.size:,} other ones"


@rule(
    "calls-do-not-add-up",
    "error",
    "More calls failed than were made",
    why="One of the two counts is wrong, and so is every rate of failing calls.",
    do="Look at the evidence: the log and the trajectory tell different stories.",
)
def calls(subject: Subject) -> Iterator[Found | Unseen]:
    """Failed calls beside calls."""
    blind = 0
    for entry in subject.entries:
        attempt = entry.attempt
        if attempt.calls is None or attempt.failed is None:
            blind += 1
        elif attempt.failed > attempt.calls:
            places = tuple(shown(entry, each.evidence) for each in attempt.failed_calls)
            yield Found(f"{attempt.failed:,} failed calls of {attempt.calls:,}", (entry,), places)
    if blind:
        yield Unseen("no file tells calls", blind)


RULES = (metrics, targets, summary, prediction, calls)
