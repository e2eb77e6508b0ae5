"""What the evidence of one run says, in sentences that rules write."""

from collections.abc import Callable

from speedproof.analysis.collection import Entry
from speedproof.analysis.survey.document import Quote, Section, Sentence
from speedproof.analysis.survey.evidence import classes, quoted
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.phrases import named, say
from speedproof.diagnosis.tree import MEANINGS
from speedproof.journal import FailureClass

_CLASSES = 12
"""Failure classes of one run that are told apart."""


def analysis(part: Part) -> Section:
    """Why its attempts failed, what its records contradict, what stands out in its patches, calls and times."""
    failures, quotes = _failures(part)
    others = [said for rule in _RULES if (said := rule(part)) is not None]
    paragraphs = [tuple(failures)]
    if others:
        paragraphs.append(tuple(others))
    return Section(id="analysis", title="Analysis", paragraphs=tuple(paragraphs), quotes=tuple(quotes))


def _failures(part: Part) -> tuple[list[Sentence], list[Quote]]:
    entries = part.collection.entries
    found = classes(entries)
    if not found:
        return [say("By its files, nothing failed.")], []
    said = []
    if any(e.failure is None for e in entries):
        ended = part.figure("attempts", failure=None)
        said.append(say("{} [attempt|attempts] ended without a failure, by the files.", ended))
    said += [_failure(part, failure) for failure in found[:_CLASSES]]
    if len(found) > _CLASSES:
        rest: list[str | int | float | bool | None] = [*found[_CLASSES:]]
        more = part.figure("attempts", failure=rest)
        said.append(say("{} more failed in other ways.", more))
    return said, [one for failure in found[:_CLASSES] for one in quoted(entries, failure)]


def _failure(part: Part, failure: str) -> Sentence:
    members = [e for e in part.collection.entries if e.failure == failure]
    number = part.figure("attempts", failure=failure)
    meaning = MEANINGS[FailureClass(failure)].partition(":")[0].rstrip(".")
    meaning = meaning[0].lower() + meaning[1:]
    if len(part.collection.entries) == 1:
        said = say("It failed with {}: " + meaning, failure)
    else:
        said = say("{} [attempt|attempts] failed with {}: " + meaning, number, failure)
    if any(e.attempt.wall_s is not None for e in members):
        if len(members) == 1:
            said = (*said, *say("; it took {}", part.figure("wall_s", failure=failure)))
        else:
            times = (part.figure(f"wall_{which}", failure=failure) for which in ("shortest", "longest"))
            said = (*said, *say("; they took {} to {}", *times))
    if any(e.recorded for e in members) and len(part.collection.entries) > 1:
        succeeded = part.figure("recorded_successes", failure=failure)
        said = (*said, *say("; recorded as a success all the same: {}", succeeded))
    return (*said, ".")


_Rule = Callable[[Part], Sentence | None]


def _whenever(shows: Callable[[Entry], object], measure: str, words: str) -> _Rule:
    """A rule: where any attempt shows it, these words, with the figure of a measure where there are several."""

    def rule(part: Part) -> Sentence | None:
        entries = part.collection.entries
        if not any(map(shows, entries)):
            return None
        return say(f"{words}.") if len(entries) == 1 else say(f"{words}: {{}}.", part.figure(measure))

    return rule


def _patch_of_failure(part: Part) -> Sentence | None:
    if not any(e.recorded is False and e.patched for e in part.collection.entries):
        return None
    if len(part.collection.entries) == 1:
        return say("Recorded as a failure though it left a patch.")
    with_patch = part.figure("patches", recorded_success=False)
    clean = part.figure("failures_with_patch")
    return say("{} recorded [failure|failures] left a patch; {} of these ended with exit code zero.", with_patch, clean)


def _same_patches(part: Part) -> Sentence | None:
    known, entries = part.collection.history, part.collection.entries
    same = [(e, earlier) for e in entries if (earlier := known.same_patch(e))]
    if not same:
        return None
    words = " byte for byte the patch of an earlier attempt, of "
    if len(entries) == 1:
        said = say("Its patch is" + words)
    else:
        said = say("{} [patch is|patches are]" + words, part.figure("patches_seen_before"))
    said = (*said, *named([earlier[0].attempt.run for _, earlier in same]))
    if any(one.attempt.commit != e.attempt.commit for e, earlier in same for one in earlier):
        elsewhere = part.figure("patches_seen_at_another_commit")
        return (*said, *say("; of one at another commit: {}.", elsewhere))
    return (*said, ".")


def _refused_calls(part: Part) -> Sentence | None:
    missing = FailureClass.TOOL_OUTPUT_MISSING
    if not any(c.failure is missing for e in part.collection.entries for c in e.attempt.failed_calls):
        return None
    calls, attempts = part.figure("tool_output_missing_calls"), part.figure("tool_output_missing_attempts")
    why = ", since the agent had left a tool call without its output."
    if len(part.collection.entries) == 1:
        return say("The provider refused {} [call|calls]" + why, calls)
    return say("The provider refused {} [call|calls], in {} [attempt|attempts]" + why, calls, attempts)


def _untold_tokens(part: Part) -> Sentence | None:
    entries = part.collection.entries
    unknown = sum(e.attempt.usage_source == "unknown" for e in entries)
    if not unknown:
        return None
    if unknown == len(entries):
        return say("No file tells its tokens, so what it cost is unknown.")
    figure = part.figure("attempts", usage_source="unknown")
    return say("Of {} [attempt|attempts] no file tells tokens: [its|their] cost is unknown.", figure)


def _at_once(part: Part) -> Sentence | None:
    beside = part.collection.history.beside
    others = [o for e in part.collection.entries if (o := beside.get((e.attempt.run, e.attempt.commit or "")))]
    if not others:
        return None
    if len(part.collection.entries) == 1:
        return ("Under way at the same time and working on its commit too: ", *named(others), ".")
    commits = part.figure("commits_at_once")
    words = "Under way at the same time and working on {} of its commits too: "
    return (*say(words, commits), *named(others), ".")


def _retries(part: Part) -> Sentence | None:
    turns = part.collection.history.turns
    retries = [e for e in part.collection.entries if turns.get(e.name) == "retry"]
    if not retries:
        return None
    if len(part.collection.entries) == 1:
        return say(
            "It is a retry, attempt {} at its commit by time; successes recorded there so far: {}.",
            part.figure("place_at_commit"),
            part.figure("successes_at_commit_until"),
        )
    figure = part.figure("attempts", turn="retry")
    succeeded = part.figure("recorded_successes", turn="retry")
    words = "{} [attempt is a retry|attempts are retries]; recorded as a success: {}."
    return say(words, figure, succeeded)


_RULES: tuple[_Rule, ...] = (
    _whenever(
        lambda e: e.recorded and e.attempt.recorded.exit_code not in (0, None),
        "successes_with_bad_exit",
        "Recorded as a success in spite of a signal or an exit code other than zero",
    ),
    _whenever(
        lambda e: e.recorded and e.attempt.outcome is not None and e.attempt.outcome.claims_success is False,
        "successes_denied_by_agent",
        "Recorded as a success though the agent itself says that it failed",
    ),
    _whenever(
        lambda e: e.recorded and not e.patched, "successes_without_patch", "Recorded as a success without a patch"
    ),
    _whenever(
        lambda e: e.recorded and not e.attempt.usage.output and not e.called,
        "successes_without_answer",
        "Recorded as a success though no file shows an answer of the model",
    ),
    _patch_of_failure,
    _same_patches,
    _refused_calls,
    _whenever(
        lambda e: any(u.impossible for u in e.attempt.usages),
        "impossible_usage",
        "With a usage record that cannot be, such as more cached than input tokens",
    ),
    _untold_tokens,
    _retries,
    _at_once,
    _whenever(
        lambda e: e.attempt.agent.contradicted or e.attempt.model.contradicted,
        "labels_contradicted",
        "With a label that names another agent or model than the files show",
    ),
    _whenever(
        lambda e: e.attempt.expert_shown,
        "expert_shown",
        "With something of the expert's change in prompt or logs",
    ),
)
"""In the order in which they are said."""
