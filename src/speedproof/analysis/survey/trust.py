"""Which figures can be trusted, which with care, and which not; and what is left when all is said."""

from collections.abc import Iterator

from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.phrases import say


def trust_section(whole: Part) -> Section:
    """Which figures can be trusted."""
    groups = (
        ("trusted", "Can be trusted", _trusted(whole)),
        ("with-care", "With care", _careful(whole)),
        ("not-trusted", "Cannot be trusted", _distrusted(whole)),
    )
    return Section(
        id="trust",
        title="What can be trusted",
        sections=tuple(Section(id=name, title=title, points=tuple(points)) for name, title, points in groups),
    )


def _trusted(whole: Part) -> Iterator[Sentence]:
    f = whole.figure
    counted = (f(name) for name in ("attempts", "runs", "commits"))
    yield say("Attempts ({}), runs ({}) and commits ({}): counted from the files themselves.", *counted)
    yield say(
        "Exit codes, patch bytes and times, where they are recorded: {} [attempt has|attempts have] a patch file.",
        f("attempts_with_patch_file"),
    )
    yield say("Causes of failure that the files tell directly: {}.", f("causes_found", confidence="direct"))


def _careful(whole: Part) -> Iterator[Sentence]:
    f = whole.figure
    if f("attempts_with_tokens").value:
        yield say(
            "Tokens and costs: sums over attempts whose files tell them. Of {} [attempt|attempts] they tell tokens; "
            "the others may have spent as much or nothing.",
            f("attempts_with_tokens"),
        )
    if f("causes_found", confidence=["inferred", "weak"]).value:
        yield say(
            "Causes that are inferred, or only suggested: {}.", f("causes_found", confidence=["inferred", "weak"])
        )
    if f("model_by_label_only").value:
        yield say("Models: {} [attempt is|attempts are] without evidence of theirs.", f("model_by_label_only"))
    yield say(
        "Confirmed success ({}): exit code, patch, the agent's own word and its calls agree. Whether code is faster, "
        "they do not say.",
        f("confirmed"),
    )


def _distrusted(whole: Part) -> Iterator[Sentence]:
    f = whole.figure
    if f("successes_unconfirmed").value:
        words = "Recorded success ({}): {} of it [is|are] not confirmed."
        yield say(words, f("recorded_successes"), f("successes_unconfirmed"))
    unjudged = f("patches", proven=None)
    if unjudged.value:
        yield say("Any speedup of a patch that nobody judged: {} [patch|patches].", unjudged)
    if f("text_matches").value:
        yield say(
            "Counts of messages in logs as counts of failures: “No tool output found” stands there {} [time|times]; "
            "failed calls of that kind: {}.",
            f("text_matches"),
            f("tool_output_missing_calls"),
        )
    if f("failures_before_any_call").value:
        words = "Rates that count attempts which failed before any model call as the agent's: {} [attempt|attempts]."
        yield say(words, f("failures_before_any_call"))
    yield from () if unjudged.value or f("successes_unconfirmed").value else (say("Nothing that was looked for."),)


def assessment_section(whole: Part) -> Section:
    """What is left when all is said."""
    said = (*_successes(whole), *_faults(whole), *_proof(whole))
    return Section(id="assessment", title="Final assessment", paragraphs=(said,))


def _successes(whole: Part) -> Iterator[Sentence]:
    f = whole.figure
    yield say(
        "Of {} [attempt|attempts] {} [is|are] recorded as a success, {} [has|have] exit code zero and a patch, and {} "
        "[is|are] confirmed.",
        f("attempts"),
        f("recorded_successes"),
        f("exit_and_patch"),
        f("confirmed"),
    )
    if f("commits_with_several_attempts").value:
        yield say(
            "Counted by commits, where any success of several attempts will do, the recorded rate is {} instead of {}: "
            "the two answer different questions.",
            f("commits_recorded_rate"),
            f("recorded_rate"),
        )


_FAULTS = {
    "infrastructure": "the infrastructure's: they can be mended, and say nothing of the agents.",
    "model": "the provider's: keys, quotas and limits, which say nothing of the agents.",
    "agent": "the agents' own.",
    "task": "the tasks': they can prove nothing until they are mended.",
}


def _faults(whole: Part) -> Iterator[Sentence]:
    faults = {name: whole.figure("attempts", fault=name) for name in _FAULTS}
    most = max(faults, key=lambda name: faults[name].attempts)
    if faults[most].attempts:
        words = "Of {} [attempt|attempts] with a failure the largest part, {}, [is|are] "
        yield (*say(words, whole.figure("attempts", fault="not null"), faults[most]), _FAULTS[most])


def _proof(whole: Part) -> Iterator[Sentence]:
    proven, patches = whole.figure("proven"), whole.figure("patches")
    if proven.value:
        yield say("Proven to be correct, faster and clean: {}.", proven)
    elif proven.value == 0:
        yield say("No patch that was judged is proven.")
    if patches.value and proven.value is None:
        yield say("No patch was judged: how many of {} make code faster is unknown, and may be none.", patches)
