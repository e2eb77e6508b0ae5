"""Issues: what is wrong in the record or in how it was made, as problem, impact and evidence."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from speedproof.analysis.collection import Entry
from speedproof.analysis.measures import measured
from speedproof.analysis.survey.document import Quote, Section, Sentence
from speedproof.analysis.survey.making import Maker
from speedproof.journal.base import Evidence

_NAMED = 5
"""Attempts that are named as evidence."""


@dataclass(frozen=True)
class Issue:
    """One kind of issue."""

    id: str
    """Its name in links."""
    title: str
    """Its heading."""
    measure: str
    """What counts its attempts: there is an issue where that is above zero."""
    problem: Callable[[Maker], Sentence]
    """What is wrong."""
    impact: Callable[[Maker], Sentence]
    """What follows from it."""
    shows: Callable[[Entry], Iterable[Evidence]] = lambda _: ()
    """The passages of an attempt's files that show it; none where no single one does."""


def _diagnosed(entry: Entry) -> Iterable[Evidence]:
    return entry.attempt.diagnosis.evidence if entry.attempt.diagnosis else ()


def _of_expert(entry: Entry) -> Iterable[Evidence]:
    return tuple(one.evidence for one in entry.attempt.expert_shown)


def _of_labels(entry: Entry) -> Iterable[Evidence]:
    return (*entry.attempt.model.evidence, *entry.attempt.agent.evidence)


ISSUES = (
    Issue(
        "unconfirmed-success",
        "Success is recorded where facts deny it",
        "successes_unconfirmed",
        lambda m: m.say(
            "{} of {} recorded successes are not confirmed by exit code, patch, the agent's own word and its calls.",
            m.figure("successes_unconfirmed"),
            m.figure("recorded_successes"),
        ),
        lambda m: m.say(
            "The recorded rate is {}; by confirmed attempts it is {}.",
            m.figure("recorded_rate"),
            m.figure("confirmed_rate"),
        ),
    ),
    Issue(
        "silent-failures",
        "Failures are recorded without their cause",
        "errors_without_text",
        lambda m: m.say(
            "{} of {} recorded failures hold no error text.",
            m.figure("errors_without_text"),
            m.figure("recorded_failures"),
        ),
        lambda m: m.say(
            "Nobody who reads the record alone can tell why; the logs tell it of {} of them.",
            m.figure("causes_found", recorded_success=False, error_text=False),
        ),
        _diagnosed,
    ),
    Issue(
        "stale-patches",
        "Patches are those of earlier attempts",
        "patches_seen_before",
        lambda m: m.say(
            "{} patches are byte for byte the patch of an earlier attempt, {} of them of one at another commit.",
            m.figure("patches_seen_before"),
            m.figure("patches_seen_at_another_commit"),
        ),
        lambda m: m.say("What an attempt is credited with may be the work of another: its workspace was not fresh."),
    ),
    Issue(
        "start-up",
        "Attempts fail before they call a model",
        "failures_before_any_call",
        lambda m: m.say(
            "{} attempts failed through the infrastructure before any model call; {} failed just as three before "
            "them in "
            "their run had.",
            m.figure("failures_before_any_call"),
            m.figure("failed_alike_before"),
        ),
        lambda m: m.say("They say nothing of agent or model, and lower every rate that counts them."),
        _diagnosed,
    ),
    Issue(
        "refused-calls",
        "Calls are refused for a tool call without its output",
        "tool_output_missing_attempts",
        lambda m: m.say(
            "{} calls in {} attempts were refused by the provider because a tool call had been left without its "
            "output; "
            "the logs repeat the message {} times.",
            m.figure("tool_output_missing_calls"),
            m.figure("tool_output_missing_attempts"),
            m.figure("text_matches"),
        ),
        lambda m: m.say(
            "{} of these attempts are recorded as a success. Trying again cannot help: the conversation itself "
            "is broken.",
            m.figure("tool_output_missing_attempts", recorded_success=True),
        ),
        _diagnosed,
    ),
    Issue(
        "provider",
        "Providers refuse: key, quota, limits",
        "failures_of_provider",
        lambda m: m.say("{} attempts failed through the provider.", m.figure("failures_of_provider")),
        lambda m: m.say("They say nothing of the agent; {} was spent on them.", m.figure("list_price", fault="model")),
        _diagnosed,
    ),
    Issue(
        "answer-shown",
        "Agents were shown the answer",
        "expert_shown",
        lambda m: m.say(
            "Of {} attempts the prompt, log or trajectory shows the expert's commit, its diff or a summary.",
            m.figure("expert_shown"),
        ),
        lambda m: m.say("What these attempts solve is no evidence that the agent found it."),
        _of_expert,
    ),
    Issue(
        "labels",
        "Labels name another agent or model than the files",
        "labels_contradicted",
        lambda m: m.say("{} attempts carry such a label.", m.figure("labels_contradicted")),
        lambda m: m.say("Whoever groups them by label compares other things than the names say."),
        _of_labels,
    ),
    Issue(
        "model-unknown",
        "Nothing tells which model answered",
        "model_by_label_only",
        lambda m: m.say("{} attempts carry no evidence of their model.", m.figure("model_by_label_only")),
        lambda m: m.say("They can be counted for no model."),
    ),
    Issue(
        "twice-at-once",
        "Runs worked on the same commits at the same time",
        "commits_only_concurrent",
        lambda m: m.say(
            "{} of {} commits with several attempts have no retry among them: runs worked on them at the same time.",
            m.figure("commits_only_concurrent"),
            m.figure("commits_with_several_attempts"),
        ),
        lambda m: m.say("They were paid for twice, and are no evidence on retrying."),
    ),
    Issue(
        "patch-in-patch",
        "Patches hold themselves",
        "patches_with_own_file",
        lambda m: m.say("{} patches hold the file of the patch itself.", m.figure("patches_with_own_file")),
        lambda m: m.say("Their sizes and line counts are wrong, and applying them leaves a stray file."),
    ),
    Issue(
        "impossible-usage",
        "Usage records that cannot be",
        "impossible_usage",
        lambda m: m.say("{} attempts hold one, such as more cached than input tokens.", m.figure("impossible_usage")),
        lambda m: m.say("What they say of tokens is left out of every sum."),
    ),
)
"""All kinds of issues, in the order in which a report shows those it finds."""


def issues_section(maker: Maker) -> Section:
    """What is wrong: each kind that has an attempt."""
    found = [issue for issue in ISSUES if measured(maker.collection, issue.measure).value]
    parts = tuple(_issue(maker, issue) for issue in found)
    none = () if parts else ((maker.say("None of the issues that are looked for was found."),),)
    return Section(id="issues", title="Issues", paragraphs=none, sections=parts)


def _issue(maker: Maker, issue: Issue) -> Section:
    counted = measured(maker.collection, issue.measure).counted
    names = ", ".join(e.name for e in counted[:_NAMED])
    more = " and others" if len(counted) > _NAMED else ""
    return Section(
        id=f"issue-{issue.id}",
        title=issue.title,
        points=(
            ("Problem: ", *issue.problem(maker)),
            ("Impact: ", *issue.impact(maker)),
            (f"Evidence: {names}{more}; `speedproof measures {issue.measure}` names all.",),
        ),
        quotes=tuple(_quotes(issue, counted)),
    )


def _quotes(issue: Issue, counted: Iterable[Entry]) -> Iterable[Quote]:
    """The passage that shows it best, of the first attempt that has one."""
    for entry in counted:
        for one in issue.shows(entry):
            file = f"{entry.attempt.folder}/{one.file}"
            return (Quote(attempt=entry.name, file=file, line=one.line, text=one.excerpt),)
    return ()
