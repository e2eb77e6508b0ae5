"""The summary: what matters most, each with its figures."""

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.making import Maker
from speedproof.analysis.survey.rules import RATES, by_rule


def summary_section(maker: Maker) -> Section:
    """What matters most."""
    f = maker.figure
    about = maker.say(
        "{} attempts in {} runs at {} commits, concluded from {} to {}.",
        f("attempts"),
        f("runs"),
        f("commits"),
        f("first_day"),
        f("last_day"),
    )
    every: list[tuple[str, Where]] = [("all", {})]
    return Section(
        id="summary",
        title="Summary",
        paragraphs=((about,),),
        points=tuple(_findings(maker)),
        tables=(
            by_rule(maker, "Success by every rule", "Attempts", every),
            maker.table("The same as shares", "Attempts", RATES, every),
        ),
    )


def _findings(maker: Maker) -> list[Sentence]:
    """One finding a subject, each only where there is something to say."""
    f, say = maker.figure, maker.say
    found: list[Sentence] = []

    def where(measure: str, words: str, *figures: object) -> None:
        if f(measure).value:
            found.append(say(words, *figures))  # type: ignore[arg-type]

    where(
        "recorded_successes",
        "Success: {} attempts are recorded as a success, {} of them are not confirmed: {} ended with another "
        "exit code "
        "than zero, {} left no patch, {} show no answer of a model, and of {} the agent itself says that it failed.",
        f("recorded_successes"),
        f("successes_unconfirmed"),
        f("successes_with_bad_exit"),
        f("successes_without_patch"),
        f("successes_without_answer"),
        f("successes_denied_by_agent"),
    )
    where(
        "recorded_failures",
        "Errors: of {} recorded failures {} have no error text; for {} of these a cause stands in the files, {} "
        "of them "
        "told directly and {} inferred.",
        f("recorded_failures"),
        f("errors_without_text"),
        f("causes_found", recorded_success=False, error_text=False),
        f("causes_found", recorded_success=False, error_text=False, confidence="direct"),
        f("causes_found", recorded_success=False, error_text=False, confidence="inferred"),
    )
    where(
        "attempts_with_tokens",
        "Tokens: {} of input, {} of them from the providers' caches, and {} of output, told by the files of {} "
        "attempts.",
        f("input_tokens"),
        f("cached_input_tokens"),
        f("output_tokens"),
        f("attempts_with_tokens"),
    )
    where(
        "list_price",
        "Cost: {} at the list prices of the day; {} as billed by the agents' own account.",
        f("list_price"),
        f("billed"),
    )
    where(
        "failed_calls",
        "Calls: {} model calls failed. Of these, {} were refused because a tool call had been left without its "
        "output, in "
        "{} attempts, {} of which are recorded as a success.",
        f("failed_calls"),
        f("tool_output_missing_calls"),
        f("tool_output_missing_attempts"),
        f("tool_output_missing_attempts", recorded_success=True),
    )
    where(
        "patches",
        "Patches: {} attempts left one, {} of them different; {} are byte for byte an earlier attempt's, {} of "
        "these at "
        "another commit.",
        f("patches"),
        f("distinct_patches"),
        f("patches_seen_before"),
        f("patches_seen_at_another_commit"),
    )
    where(
        "commits_with_several_attempts",
        "Commits: {} were attempted more than once; {} of them only because runs worked on them at the same "
        "time. {} have a "
        "recorded success, {} by their latest attempt, {} a confirmed one.",
        f("commits_with_several_attempts"),
        f("commits_only_concurrent"),
        f("commits_recorded"),
        f("commits_recorded_latest"),
        f("commits_confirmed"),
    )
    where(
        "model_by_label_only",
        "Evidence: of {} attempts nothing but a label, or nothing at all, tells which model answered.",
        f("model_by_label_only"),
    )
    return found
