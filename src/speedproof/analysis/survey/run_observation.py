"""The most telling thing about a run: the first of these rules that finds something, the most serious first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from speedproof.analysis.collection import Entry
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures.trouble import failed_to_start
from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.evidence import classes, quoted
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.phrases import joined, say

_ALIKE = 0.8
"""Part of a run's attempts that must fail at start-up for that to be what the run is about."""
_NOTHING: list[Plain] = ["missing", "empty", "no_effect", "tests_only"]
"""Kinds of patches that leave nothing to judge."""
_MANY = 0.5
"""Part of a run's attempts that the provider must refuse, or whose tokens must be unknown."""


@dataclass(frozen=True)
class _Rule:
    headline: str
    """A few words for the run's heading."""
    finds: Callable[[Part], Sequence[Entry]]
    """The attempts that show it."""
    says: Callable[[Part, Sequence[Entry]], Iterable[Sentence]]
    """What was seen."""
    failure: bool = True
    """Whether it is a failure, which can be quoted."""


def headline(part: Part) -> str:
    """A few words for the run's heading."""
    return next(rule.headline for rule in _RULES if rule.finds(part))


def observation(part: Part) -> Section:
    """What is most telling about the run."""
    rule, members = next((rule, members) for rule in _RULES if (members := rule.finds(part)))
    said = tuple(rule.says(part, members))
    alone = _alone(part)  # its analysis has just quoted the same
    found = [] if alone or not rule.failure else classes(members)[:1]
    quotes = tuple(one for failure in found for one in quoted(members, failure))
    return Section(id="observation", title="Critical observation", paragraphs=(said,), quotes=quotes)


def _alone(part: Part) -> bool:
    return len(part.collection.entries) == 1


def _which(shows: Callable[[Entry], object], least: float = 0) -> Callable[[Part], Sequence[Entry]]:
    """The attempts that show it, where they are at least this part of the run."""

    def finds(part: Part) -> Sequence[Entry]:
        entries = part.collection.entries
        members = [e for e in entries if shows(e)]
        return members if len(members) >= least * len(entries) else ()

    return finds


def _by_class(part: Part, members: Iterable[Entry]) -> Sentence:
    return joined([say("{} ({})", one, part.figure("attempts", failure=one)) for one in classes(members)])


def _stale(part: Part) -> Sequence[Entry]:
    """Patches that were there before, where the agent cannot have made them: it made no call, or had another task."""
    known = part.collection.history
    same = [(e, earlier[0]) for e in part.collection.entries if (earlier := known.same_patch(e))]
    idle = [e for e, _ in same if not e.called]
    return idle or [e for e, origin in same if e.attempt.commit != origin.attempt.commit]


def _stale_patch(part: Part, members: Sequence[Entry]) -> Iterable[Sentence]:
    entry = members[0]
    origin = part.collection.history.same_patch(entry)[0]
    said = say("The patch of `{}` is byte for byte that of `{}`", entry.attempt.item, origin.name)
    if origin.attempt.run != entry.attempt.run:
        said = (*said, *say(", concluded {} earlier", part.figure("patch_age", attempt=entry.name)))
    if origin.attempt.commit != entry.attempt.commit:
        said = (*said, ", at another commit")
    if not entry.called:
        said = (*said, ", and no file shows a call of its own agent: it was left over in the workspace")
    yield (*said, ".")
    if not _alone(part):
        seen = part.figure("patches_seen_before")
        yield say("In all, this run has {} of {} [patch|patches] from earlier attempts.", seen, part.figure("patches"))
    if entry.recorded:
        yield say("It is recorded as a success.")


def _no_answer(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("It is recorded as a success, and no file shows an answer of the model: no call, no output token.")
        return
    yield say(
        "Recorded as a success though no file shows an answer of the model, neither a call nor an output token: {} of "
        "{}.",
        part.figure("successes_without_answer"),
        part.figure("recorded_successes"),
    )


def _idle(entry: Entry) -> bool:
    return entry.failure is not None and entry.failure.fault == "infrastructure" and not entry.called


def _at_start(measure: str) -> Callable[[Part, Sequence[Entry]], Iterable[Sentence]]:
    def says(part: Part, members: Sequence[Entry]) -> Iterable[Sentence]:
        if _alone(part):
            yield (*say("Its only attempt failed before any call"), *_took(part, members), f": {classes(members)[0]}.")
            return
        words = "{} of {} attempts failed at start-up, before any call"
        said = say(words, part.figure(measure), part.figure("attempts"))
        yield (*said, *_took(part, members), ": ", *_by_class(part, members), ".")
        yield say("What stops every attempt could have been seen in the first.")

    return says


def _took(part: Part, members: Sequence[Entry]) -> Sentence:
    which = classes(members)
    if not which or all(e.attempt.wall_s is None for e in members):
        return ()
    if len(members) == 1:
        return say(", after {}", part.figure("wall_s", attempt=members[0].name))
    ends = (part.figure(f"wall_{end}", failure=[*which]) for end in ("shortest", "longest"))
    return say(", after {} to {}", *ends)


def _bad_exit(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        words = "It is recorded as a success although the process ended with exit code {}."
        yield say(words, part.figure("exit_code"))
        return
    yield say(
        "Recorded as a success although the process ended with a signal or an exit code other than zero: {} of {}; "
        "confirmed: {}.",
        part.figure("successes_with_bad_exit"),
        part.figure("recorded_successes"),
        part.figure("confirmed"),
    )


def _no_change(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say(
            "It is recorded as a success and left nothing that could be judged: patch {}.", part.figure("patch_kind")
        )
        return
    yield say(
        "Recorded as a success without a change that could be judged: {} of {}.",
        part.figure("recorded_successes", patch=_NOTHING),
        part.figure("recorded_successes"),
    )


def _disproven(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("It is recorded as a success, and its patch was judged: it is not proven.")
        return
    yield say(
        "Recorded as a success, judged and not proven: {} of {}.",
        part.figure("recorded_successes", proven=False),
        part.figure("recorded_successes"),
    )


def _failure_with_patch(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("It is recorded as a failure although the process ended well and left a patch.")
        return
    yield say(
        "Recorded as a failure although the process ended well and left a patch: {} of {}; confirmed by the agent's "
        "own word and calls: {}.",
        part.figure("failures_with_patch"),
        part.figure("recorded_failures"),
        part.figure("confirmed", recorded_success=False),
    )


def _denies(entry: Entry) -> bool:
    return bool(entry.recorded) and entry.attempt.outcome is not None and entry.attempt.outcome.claims_success is False


def _denied(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("It is recorded as a success, and by the agent's own word it is a failure.")
        return
    yield say(
        "Recorded as a success, and a failure by the agent's own word: {} of {}.",
        part.figure("successes_denied_by_agent"),
        part.figure("recorded_successes"),
    )


def _refused(part: Part, members: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("The provider refused it: {}.", classes(members)[0])
        return
    said = say("Refused by the provider: {} of {}: ", part.figure("failures_of_provider"), part.figure("attempts"))
    yield (*said, *_by_class(part, members), ".")


def _broken(part: Part, members: Sequence[Entry]) -> Iterable[Sentence]:
    said = say("The agent broke its conversation with the provider, and that ended the attempt: ")
    yield (*said, *_by_class(part, members), ".")


def _tokens_unknown(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        yield say("No file tells its tokens: what it cost is unknown.")
        return
    unknown = part.figure("attempts", usage_source="unknown")
    yield say(
        "No file tells the tokens of {} of {} attempts: what the run cost is unknown.", unknown, part.figure("attempts")
    )


def _concurrent(part: Part) -> Sequence[Entry]:
    beside = part.collection.history.beside
    return [e for e in part.collection.entries if (e.attempt.run, e.attempt.commit) in beside]


def _at_once(part: Part, members: Sequence[Entry]) -> Iterable[Sentence]:
    entry = members[0]
    other = part.collection.history.beside[(entry.attempt.run, entry.attempt.commit or "")]
    said = say("At the same time `{}` worked on ", other)
    where = ("its commit",) if _alone(part) else say("{} of its commits", part.figure("commits_at_once"))
    why = ": attempts of the two are no retries of each other, and may have shared limits and folders."
    yield (*said, *where, why)


def _typical(part: Part, _: Sequence[Entry]) -> Iterable[Sentence]:
    if _alone(part):
        took = (part.figure("wall_s"), part.figure("steps"), part.figure("list_price"))
        yield say("Nothing stands out: duration {}, steps {}, list price {}.", *took)
        return
    yield say(
        "Nothing stands out: {} of {} attempts are recorded as a success, {} confirmed. Half of them took less than "
        "{}; in all they took {} steps, {} at list prices.",
        part.figure("recorded_successes"),
        part.figure("attempts"),
        part.figure("confirmed"),
        part.figure("wall_median"),
        part.figure("steps"),
        part.figure("list_price"),
    )


_RULES = (
    _Rule("a patch that was there before", _stale, _stale_patch),
    _Rule(
        "success without an answer",
        _which(lambda e: e.recorded and not e.attempt.usage.output and not e.called),
        _no_answer,
    ),
    _Rule("failed at start-up", _which(failed_to_start, _ALIKE), _at_start("startup_failures")),
    _Rule("failed at start-up", _which(_idle, _ALIKE), _at_start("failures_before_any_call")),
    _Rule(
        "success with a bad exit code",
        _which(lambda e: e.recorded and e.attempt.recorded.exit_code not in (0, None)),
        _bad_exit,
    ),
    _Rule(
        "failure with a patch", _which(lambda e: e.recorded is False and e.attempt.exit_and_patch), _failure_with_patch
    ),
    _Rule(
        "success without a change",
        _which(lambda e: e.recorded and e.attempt.patch_status in _NOTHING),
        _no_change,
    ),
    _Rule("success against the agent's own word", _which(_denies), _denied),
    _Rule("success disproven", _which(lambda e: e.recorded and e.proven is False), _disproven),
    _Rule("refused by the provider", _which(lambda e: e.failure and e.failure.fault == "model", _MANY), _refused),
    _Rule(
        "a broken conversation", _which(lambda e: e.failure and e.failure.value.startswith("agent/protocol/")), _broken
    ),
    _Rule(
        "tokens unknown",
        _which(lambda e: e.attempt.usage_source == "unknown" and e.called is not False, _MANY),
        _tokens_unknown,
        failure=False,
    ),
    _Rule("at the same time as another", _concurrent, _at_once, failure=False),
    _Rule("nothing stands out", lambda part: part.collection.entries, _typical, failure=False),
)
"""The most serious first; the last one always finds something."""
