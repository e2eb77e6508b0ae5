"""Issues: what is wrong in the record or in how it was made, as problem, impact and evidence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from speedproof.analysis.collection import Entry
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.measures import measured
from speedproof.analysis.survey.configuration import contradictions
from speedproof.analysis.survey.document import Quote, Section
from speedproof.analysis.survey.evidence import quote
from speedproof.analysis.survey.part import Part, Saying, saying
from speedproof.analysis.survey.phrases import named, say
from speedproof.journal.base import Evidence

_NAMED = 5
"""Attempts that are named as evidence."""
_SOURCES = 3
"""Archives that are named in a command."""


@dataclass(frozen=True)
class Issue:
    """One kind of issue."""

    id: str
    """Its name in links."""
    title: str
    """Its heading."""
    measure: str
    """What counts its attempts: there is an issue where that is above zero."""
    problem: Saying
    """What is wrong."""
    impact: Saying
    """What follows from it."""
    shows: Callable[[Entry], Iterable[Evidence]] = lambda _: ()
    """The passages of an attempt's files that show it; none where no single one does."""
    where: dict[str, Plain | list[Plain]] = field(default_factory=dict)
    """Conditions of its measure."""


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
        saying(
            "{} of {} recorded [success is|successes are] not confirmed by exit code, patch, the agent's own word and "
            "its calls; {} of them left no patch at all.",
            "successes_unconfirmed",
            "recorded_successes",
            "successes_without_patch",
        ),
        saying("The recorded rate is {}; by confirmed attempts it is {}.", "recorded_rate", "confirmed_rate"),
    ),
    Issue(
        "silent-failures",
        "Failures are recorded without their cause",
        "errors_without_text",
        saying("{} of {} recorded [failure|failures] hold no error text.", "errors_without_text", "recorded_failures"),
        saying(
            "Nobody who reads the record alone can tell why; the files tell it of {} of them all the same.",
            "errors_explained",
        ),
        _diagnosed,
    ),
    Issue(
        "untold-tokens",
        "Nothing tells what attempts used",
        "attempts",
        saying("Of {} [attempt|attempts] no file tells tokens.", ("attempts", {"usage_source": "unknown"})),
        saying("Their cost is unknown, and every sum of tokens or money is without them."),
        where={"usage_source": "unknown"},
    ),
    Issue(
        "stale-patches",
        "Patches are those of earlier attempts",
        "patches_seen_before",
        saying(
            "{} [patch is|patches are] byte for byte the patch of an earlier attempt, {} of them of one at another "
            "commit.",
            "patches_seen_before",
            "patches_seen_at_another_commit",
        ),
        saying(
            "What an attempt is credited with may be the work of another: its workspace was not fresh, or, where both "
            "worked on one commit, they may have found the same short change by themselves."
        ),
    ),
    Issue(
        "start-up",
        "Attempts fail before they call a model",
        "failures_before_any_call",
        saying(
            "{} [attempt|attempts] failed through the infrastructure, and no file shows a model call of theirs. "
            "Failures like three before them in their run: {}.",
            "failures_before_any_call",
            "failed_alike_before",
        ),
        saying("They say nothing of agent or model, and lower every rate that counts them."),
        _diagnosed,
    ),
    Issue(
        "refused-calls",
        "Calls are refused for a tool call without its output",
        "tool_output_missing_attempts",
        saying(
            "Calls that the provider refused because a tool call had been left without its output: {}, in {} "
            "[attempt|attempts]. The logs hold the message {} [time|times].",
            "tool_output_missing_calls",
            "tool_output_missing_attempts",
            "text_matches",
        ),
        saying(
            "{} of these attempts [is|are] recorded as a success. Sending the same conversation again cannot help.",
            ("tool_output_missing_attempts", {"recorded_success": True}),
        ),
        _diagnosed,
    ),
    Issue(
        "provider",
        "Providers refuse: key, quota, limits",
        "failures_of_provider",
        saying("{} [attempt|attempts] failed through the provider.", "failures_of_provider"),
        saying("They say nothing of the agent; spent on them: {}.", ("list_price", {"fault": "model"})),
        _diagnosed,
    ),
    Issue(
        "mixed-outcomes",
        "The same commit is a success once and a failure another time",
        "commits",
        saying(
            "{} [commit has|commits have] both recorded successes and recorded failures.",
            ("commits", {"recorded_at_commit": "mixed"}),
        ),
        saying(
            "That alone does not show chance: of these failures {} [is|are] due to the infrastructure, {} to the "
            "provider, {} to another configuration; {} [stays|stay] unexplained.",
            *(
                ("attempts", {"mixed_because": reason})
                for reason in ("infrastructure", "provider", "configuration", "unexplained")
            ),
        ),
        where={"recorded_at_commit": "mixed"},
    ),
    Issue(
        "answer-shown",
        "Agents were shown the answer",
        "expert_shown",
        saying(
            "Of {} [attempt|attempts] the prompt, log or trajectory shows the expert's commit, its diff or a summary.",
            "expert_shown",
        ),
        saying("What these attempts solve is no evidence that the agent found it."),
        _of_expert,
    ),
    Issue(
        "labels",
        "Labels name another agent or model than the files",
        "labels_contradicted",
        saying("{} [attempt carries|attempts carry] such a label.", "labels_contradicted"),
        saying("Whoever groups them by label compares other things than the names say."),
        _of_labels,
    ),
    Issue(
        "model-unknown",
        "Nothing tells which model answered",
        "model_by_label_only",
        saying("{} [attempt carries|attempts carry] no evidence of a model.", "model_by_label_only"),
        saying("They can be counted for no model, and cannot be priced."),
    ),
    Issue(
        "twice-at-once",
        "Runs worked on the same commits at the same time",
        "commits_only_concurrent",
        saying(
            "{} of {} commits with several attempts [has|have] no retry among them: runs worked on them at the same "
            "time.",
            "commits_only_concurrent",
            "commits_with_several_attempts",
        ),
        saying("They were paid for more than once, and are no evidence on trying again."),
    ),
    Issue(
        "patch-in-patch",
        "Patches hold themselves",
        "patches_with_own_file",
        saying("{} [patch holds|patches hold] the file of the patch itself.", "patches_with_own_file"),
        saying("Their sizes and line counts are wrong, and applying them leaves a stray file."),
    ),
    Issue(
        "impossible-usage",
        "Usage records that cannot be",
        "impossible_usage",
        saying(
            "{} [attempt holds|attempts hold] one, such as more cached than input tokens.",
            "impossible_usage",
        ),
        saying("They are left out of costs and of uncached input; other sums take them as told."),
    ),
)
"""All kinds of issues, in the order in which a report shows those it finds."""


def issues_section(whole: Part) -> Section:
    """What is wrong: each kind that has an attempt."""
    found = [issue for issue in ISSUES if measured(whole.collection, issue.measure, issue.where).value]
    parts = (*(_issue(whole, issue) for issue in found), *_of_settings(whole))
    none = () if parts else ((say("None of the issues that are looked for was found."),),)
    return Section(id="issues", title="Issues", paragraphs=none, sections=parts)


def _issue(whole: Part, issue: Issue) -> Section:
    counted = measured(whole.collection, issue.measure, issue.where).counted
    command = _command(whole.collection.archives, issue)
    return Section(
        id=f"issue-{issue.id}",
        title=issue.title,
        points=(
            ("Problem: ", *issue.problem(whole)),
            ("Impact: ", *issue.impact(whole)),
            ("Evidence: ", *named([e.name for e in counted], _NAMED), *say("; `{}` names all.", command)),
        ),
        quotes=_quotes(issue, counted),
    )


def _command(archives: Sequence[str], issue: Issue) -> str:
    """What names all attempts of an issue."""
    sources = archives if len(archives) <= _SOURCES else ()
    conditions = (f"--where {name}={value}" for name, value in issue.where.items())
    return " ".join(("speedproof measures", issue.measure, *sources, *conditions))


def _quotes(issue: Issue, counted: Iterable[Entry]) -> tuple[Quote, ...]:
    """The passage that shows it best, of the first attempt that has one."""
    return next(((quote(entry, one),) for entry in counted for one in issue.shows(entry)), ())


def _of_settings(whole: Part) -> Iterable[Section]:
    keys = contradictions(whole.collection.settings)
    if keys:
        yield Section(
            id="issue-settings",
            title="What is claimed of settings is not what files show",
            points=(
                ("Problem: Claims contradict each other, or what files show, on ", *named(keys, len(keys)), "."),
                say("Impact: Whether a change of these settings was ever made, and helped, is not known from claims."),
                say("Evidence: The places quoted under Configuration."),
            ),
        )
