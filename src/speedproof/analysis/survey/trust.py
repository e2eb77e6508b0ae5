"""Which figures can be trusted, which with care, and which not; and what is left when all is said."""

from speedproof.analysis.survey.document import Section
from speedproof.analysis.survey.making import Maker


def trust_section(maker: Maker) -> Section:
    """Which figures can be trusted."""
    f, say = maker.figure, maker.say
    trusted = (
        say(
            "Attempts ({}), runs ({}) and commits ({}): counted from the files themselves.",
            f("attempts"),
            f("runs"),
            f("commits"),
        ),
        say(
            "Exit codes, patch bytes and times, where they are recorded: {} attempts have a patch file.",
            f("attempts_with_patch_file"),
        ),
        say("Causes of failure that the files tell directly: {}.", f("causes_found", confidence="direct")),
    )
    careful = (
        say(
            "Tokens and costs: sums over the {} attempts whose files tell them; the others may have spent as "
            "much or nothing.",
            f("attempts_with_tokens"),
        ),
        say("Causes that are inferred: {}.", f("causes_found", confidence="inferred")),
        say("Models: {} attempts are without evidence of theirs.", f("model_by_label_only")),
        say(
            "Confirmed success ({}): nothing in the files denies it, and nobody has measured a speedup.", f("confirmed")
        ),
    )
    not_at_all = (
        say("Recorded success ({}): {} of it is not confirmed.", f("recorded_successes"), f("successes_unconfirmed")),
        say(
            "Any speedup of a patch that was not judged: {} patches were left, {} attempts are proven.",
            f("patches"),
            f("proven"),
        ),
        say(
            "Counts of messages in logs as counts of failures: {} matches stand for {} calls.",
            f("text_matches"),
            f("tool_output_missing_calls"),
        ),
        say(
            "Rates that count attempts which failed before any model call ({}) as the agent's.",
            f("failures_before_any_call"),
        ),
    )
    return Section(
        id="trust",
        title="What can be trusted",
        sections=(
            Section(id="trusted", title="Can be trusted", points=trusted),
            Section(id="with-care", title="With care", points=careful),
            Section(id="not-trusted", title="Cannot be trusted", points=not_at_all),
        ),
    )


def assessment_section(maker: Maker) -> Section:
    """What is left when all is said."""
    f, say = maker.figure, maker.say
    sentences = [
        say(
            "Of {} attempts {} are recorded as a success, {} have exit code zero and a patch, {} are confirmed "
            "and {} proven.",
            f("attempts"),
            f("recorded_successes"),
            f("exit_and_patch"),
            f("confirmed"),
            f("proven"),
        )
    ]
    faults = {name: f("attempts", fault=name) for name in ("infrastructure", "model", "agent", "task")}
    most = max(faults, key=lambda name: faults[name].attempts)
    if faults[most].attempts:
        words = {
            "infrastructure": "Most failures, {}, are the infrastructure's: they can be mended, and say nothing "
            "of the agents.",
            "model": "Most failures, {}, are the provider's: keys, quotas and limits, which say nothing of the agents.",
            "agent": "Most failures, {}, are the agents' own.",
            "task": "Most failures, {}, are the tasks': they can prove nothing until they are mended.",
        }
        sentences.append(say(words[most], faults[most]))
    if f("patches").value and not f("proven").value:
        sentences.append(
            say("No patch is proven. Until patches are judged, the number of speedups is unknown: it may be none.")
        )
    return Section(id="assessment", title="Final assessment", paragraphs=(tuple(sentences),))
