"""The summary: what matters most, each with its figures."""

from collections.abc import Iterator

from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import joined, say
from speedproof.analysis.survey.rules import COUNTS, RATES


def summary_section(whole: Part) -> Section:
    """What matters most."""
    f = whole.figure
    about = [*say("{} [attempt|attempts] in {} [run|runs]", f("attempts"), f("runs"))]
    if f("commits").value is not None:
        about += say(", at {} [commit|commits]", f("commits"))
    days = f("first_day"), f("last_day")
    when = (
        "They were concluded on {}, UTC."
        if days[0].value == days[1].value
        else "They were concluded from {} to {}, UTC."
    )
    said = [(*about, "."), say(when, *days[: when.count("{}")])] if days[0].value else [(*about, ".")]
    every = [(("all attempts",), whole)]
    return Section(
        id="summary",
        title="Summary",
        paragraphs=(tuple(said),),
        points=tuple(_findings(whole)),
        tables=(
            table("Success by every rule", ("Over",), COUNTS, every),
            table("The same as shares", ("Over",), RATES, every),
        ),
    )


def _findings(whole: Part) -> Iterator[Sentence]:
    """One finding a subject, each only where there is something to say."""
    f = whole.figure
    if f("recorded_successes").value:
        yield (
            *say("Success: {} [attempt is|attempts are] recorded as a success", f("recorded_successes")),
            *_denied(whole),
        )
    if f("recorded_failures").value:
        yield say(
            "Errors: of {} recorded [failure|failures] {} [has|have] no error text. For {} of these a cause stands in "
            "the files: told directly for {}, inferred for {}, suggested for {}.",
            f("recorded_failures"),
            f("errors_without_text"),
            f("errors_explained"),
            *(f("errors_explained", confidence=sure) for sure in ("direct", "inferred", "weak")),
        )
    if f("attempts_with_tokens").value:
        yield say(
            "Tokens: {} of input, {} of them from the providers' caches, and {} of output.",
            f("input_tokens"),
            f("cached_input_tokens"),
            f("output_tokens"),
        )
    if f("list_price").value is not None:
        said = say("Cost at the list prices of the day: {}", f("list_price"))
        own = say("; as the agents themselves report it: {}.", f("billed"))
        yield (*said, *(own if f("billed").value is not None else ("; no file tells what was billed.",)))
    if f("failed_calls").value:
        yield say("Model calls that failed: {}.", f("failed_calls"))
    if f("tool_output_missing_calls").value:
        yield say(
            "Refused calls: {}, in {} [attempt|attempts], since a tool call had been left without its output; {} of "
            "these attempts [is|are] recorded as a success.",
            f("tool_output_missing_calls"),
            f("tool_output_missing_attempts"),
            f("tool_output_missing_attempts", recorded_success=True),
        )
    if f("patches").value:
        yield say(
            "Patches: {} [attempt|attempts] left one, {} of them different; {} [is|are] byte for byte an earlier "
            "attempt's, {} of these at another commit.",
            f("patches"),
            f("distinct_patches"),
            f("patches_seen_before"),
            f("patches_seen_at_another_commit"),
        )
    if f("commits_with_several_attempts").value:
        yield say(
            "Commits: {} [was|were] attempted more than once, {} of them only because runs worked on them at the same "
            "time. {} [has|have] a recorded success, {} by their latest attempt, {} a confirmed one.",
            f("commits_with_several_attempts"),
            f("commits_only_concurrent"),
            f("commits_recorded"),
            f("commits_recorded_latest"),
            f("commits_confirmed"),
        )
    if f("model_by_label_only").value:
        yield say(
            "Evidence: of {} [attempt|attempts] nothing but a label, or nothing at all, tells which model answered.",
            f("model_by_label_only"),
        )


_DENIED = (
    ("successes_with_bad_exit", "{} ended with an exit code other than zero"),
    ("successes_without_patch", "{} left no patch"),
    ("successes_without_answer", "{} [shows|show] no answer of a model"),
    ("successes_denied_by_agent", "of {} the agent itself says that it failed"),
)
"""What denies a recorded success."""


def _denied(whole: Part) -> Sentence:
    if not whole.figure("successes_unconfirmed").value:
        return (", and all are confirmed by the files.",)
    unconfirmed = say("; {} of these [is|are] not confirmed by the files", whole.figure("successes_unconfirmed"))
    why = [say(words, whole.figure(measure)) for measure, words in _DENIED if whole.figure(measure).value]
    reasons = (", for one reason or several: ", *joined(why)) if why else ()
    return (*unconfirmed, *reasons, ".")
