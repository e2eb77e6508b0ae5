"""Patterns over all attempts: status, exit codes, patches, durations, tokens, costs and errors."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.evidence import classes, quoted
from speedproof.analysis.survey.part import Part, chart, table
from speedproof.analysis.survey.phrases import name, say
from speedproof.analysis.survey.rules import COUNTS

_SIZES = (
    ("none: no file, or empty", {"patch": ["missing", "empty"]}),
    ("tiny: below 100 B", {"patch_bytes": "1..<100"}),
    ("small: below 1,000 B", {"patch_bytes": "100..<1000"}),
    ("medium: below 10,000 B", {"patch_bytes": "1000..<10000"}),
    ("large: 10,000 B and more", {"patch_bytes": ">= 10000"}),
)
"""Size classes of patches, as the earlier harness's analysis has them."""
_SECONDS = (0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_TOKENS = (0, 1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_EXAMPLES = 12
"""Classes of failure of which a passage is shown."""
_COSTS = (
    ("Attempts", "attempts"),
    ("With a price", "attempts_with_list_price"),
    ("List price", "list_price"),
    ("Billed", "billed"),
    ("Confirmed", "confirmed"),
    ("Per confirmed success", "list_price_per_confirmed_success"),
)
_ERRORS = (
    ("Attempts", "attempts"),
    ("Recorded failures", "recorded_failures"),
    ("Recorded successes", "recorded_successes"),
    ("Runs", "runs"),
    ("Time", "wall_s"),
    ("Steps", "steps"),
    ("List price", "list_price"),
)

Lines = list[tuple[Sequence[str], Part]]


def patterns_section(whole: Part) -> Section:
    """Patterns over all attempts."""
    parts = (_status, _exit_codes, _patches, _durations, _tokens, _costs, _errors)
    return Section(id="patterns", title="Patterns", sections=tuple(part(whole) for part in parts))


def _by(whole: Part, dimension: str, values: Iterable[str | int | None], unknown: str = "unknown") -> Lines:
    """A line for each value of a dimension, the most frequent first."""
    counted = [value for value, _ in Counter(values).most_common()]
    return [
        ((unknown if one is None else name(str(one)).replace("_", " "),), whole.part(**{dimension: one}))
        for one in counted
    ]


def _status(whole: Part) -> Section:
    entries = whole.collection.entries
    recorded = _by(whole, "recorded", (e.attempt.recorded.status for e in entries), "none recorded")
    ours = _by(whole, "run_status", (e.attempt.run_status for e in entries))
    said = say("Recorded as a success: {} of the attempts", whole.figure("recorded_rate"))
    by_commits = whole.figure("commits_recorded_rate")
    more = (
        say("; of the commits, where any success counts, {}.", by_commits) if by_commits.value is not None else (".",)
    )
    return Section(
        id="status",
        title="Status",
        paragraphs=(((*said, *more),),),
        tables=(
            table("As recorded", ("Status",), COUNTS, recorded),
            table("How the process went, by our rules", ("Process",), COUNTS, ours),
        ),
    )


def _exit_codes(whole: Part) -> Section:
    codes = _by(whole, "exit_code", (e.attempt.recorded.exit_code for e in whole.collection.entries), "none")
    said = say(
        "{} [attempt is|attempts are] recorded as a success with an exit code other than zero, {} as a failure with "
        "exit code zero and a patch.",
        whole.figure("successes_with_bad_exit"),
        whole.figure("failures_with_patch"),
    )
    note = "As recorded; a negative one stands for a signal."
    return Section(
        id="exit-codes",
        title="Exit codes",
        paragraphs=((said,),),
        tables=(table("By exit code", ("Exit code",), COUNTS, codes, note),),
    )


def _patches(whole: Part) -> Section:
    f = whole.figure
    words = (
        say(
            "{} of all attempts left no patch; {} of these [is|are] recorded as a success.",
            f("no_patch_rate"),
            f("successes_without_patch"),
        ),
        say(
            "{} [patch holds|patches hold] the file of the patch itself, {} [changes|change] tests.",
            f("patches_with_own_file"),
            f("patches_with_tests"),
        ),
    )
    kinds = _by(whole, "patch", (e.attempt.patch_status for e in whole.collection.entries))
    sizes = [(label, whole.part(**where)) for label, where in _SIZES]
    return Section(
        id="patch-sizes",
        title="Patches",
        paragraphs=(words,),
        tables=(
            table("By size", ("Size",), COUNTS, (((label,), part) for label, part in sizes)),
            table("By kind", ("Kind",), COUNTS, kinds),
        ),
        charts=(chart("Attempts by size of patch", "size of patch", "attempts", sizes),),
    )


def _steps(whole: Part, dimension: str, ends: Sequence[int], unit: str = "") -> Iterator[tuple[str, Part]]:
    """A part for each step of a quantity; the last is open."""
    for low, high in zip(ends, [*ends[1:], None], strict=True):
        if high is None:
            yield f"{_end(low, unit)} and more", whole.part(**{dimension: f">= {low}"})
        else:
            yield f"{_end(low, unit)} – {_end(high, unit)}", whole.part(**{dimension: f"{low}..<{high}"})


def _end(value: int, unit: str) -> str:
    if unit != "s":
        return f"{value:,}"
    if value < 60:
        return f"{value} s"
    return f"{value // 60} min" if value < 3600 else f"{value // 3600} h"


def _durations(whole: Part) -> Section:
    f = whole.figure
    words = []
    if f("wall_mean").value is not None:
        words.append(
            say(
                "An attempt ran {} on average, and half of them less than {}; the shortest {}, the longest {}.",
                *(f(f"wall_{which}") for which in ("mean", "median", "shortest", "longest")),
            )
        )
    for words_for, success in (("Recorded successes", True), ("Recorded failures", False)):
        if f("wall_mean", recorded_success=success).value is not None:
            both = (f(f"wall_{which}", recorded_success=success) for which in ("mean", "median"))
            words.append(say(f"{words_for}: {{}} on average, half of them less than {{}}.", *both))
    bars = _steps(whole, "wall_s", _SECONDS, "s")
    return Section(
        id="durations",
        title="Durations",
        paragraphs=((*words, *_humps(whole)),),
        charts=(chart("Attempts by duration", "time the agent ran", "attempts", bars, "histogram"),),
    )


def _humps(whole: Part) -> Iterator[Sentence]:
    """Whether the durations fall into two groups with few between."""
    f = whole.figure
    short, middle, long = f("attempts", wall_s="< 5"), f("attempts", wall_s="5..<60"), f("attempts", wall_s=">= 60")
    if min(short.attempts, long.attempts) > 2 * middle.attempts:
        yield say(
            "There are two humps: {} [attempt|attempts] ended within five seconds, {} of them through the "
            "infrastructure before any model call; {} took a minute or more, and only {} [lies|lie] between.",
            short,
            f("failures_before_any_call", wall_s="< 5"),
            long,
            middle,
        )


def _tokens(whole: Part) -> Section:
    f = whole.figure
    words = []
    if f("attempts_with_tokens").value:
        words.append(
            say(
                "Input: {}, of which read afresh {}, from caches {}; output: {}.",
                f("input_tokens"),
                f("uncached_input_tokens"),
                f("cached_input_tokens"),
                f("output_tokens"),
            )
        )
    else:
        words.append(say("No file tells tokens."))
    if f("impossible_usage").value:
        words.append(
            say(
                "{} [attempt holds|attempts hold] an impossible usage record, with more cached than input tokens or "
                "the like: the parts do not add up to the whole.",
                f("impossible_usage"),
            )
        )
    if f("first_line_input_tokens").value:
        words.append(
            say(
                "Reading the first running total of each log instead gives {} and {}: that is what the first answer "
                "took.",
                f("first_line_input_tokens"),
                f("first_line_output_tokens"),
            )
        )
    bars = _steps(whole, "input_tokens", _TOKENS)
    title, axis = "Attempts by tokens of input", "tokens of input, cached included"
    return Section(
        id="tokens",
        title="Tokens",
        paragraphs=(tuple(words),),
        charts=(chart(title, axis, "attempts", bars, "histogram"),),
    )


def _costs(whole: Part) -> Section:
    f = whole.figure
    words = []
    if f("list_price").value is None:
        words.append(say("No cost is known."))
    elif f("list_price_per_recorded_success").value is not None:
        words.append(
            say("At list prices, failures included, a recorded success cost {}", f("list_price_per_recorded_success"))
        )
        confirmed = f("list_price_per_confirmed_success")
        none = say("; none is confirmed.")
        words[-1] = (*words[-1], *(none if confirmed.value is None else say(", a confirmed one {}.", confirmed)))
    if f("first_line_flat_price").value:
        words.append(
            say(
                "Flat prices of one cent and three cents per thousand tokens would make {} of the first lines, and {} "
                "of all tokens: they know neither model nor cache.",
                f("first_line_flat_price"),
                f("flat_price"),
            )
        )
    models = _by(whole, "model", (e.attempt.model.value for e in whole.collection.entries))
    lines = [(("all",), whole), *models]
    return Section(
        id="costs",
        title="Costs",
        paragraphs=(tuple(words),),
        tables=(table("By model", ("Model",), _COSTS, lines),),
    )


def _errors(whole: Part) -> Section:
    f, entries = whole.figure, whole.collection.entries
    words = [
        say(
            "{} [attempt|attempts] failed by our rules; a cause stands in the files of {}. Failed model calls: {}.",
            f("attempts", failure="not null"),
            f("causes_found"),
            f("failed_calls"),
        )
    ]
    if f("text_matches").value:
        words.append(
            say(
                "The logs say “No tool output found” {} [time|times], since they repeat a failed call in every retry, "
                "traceback and box; calls that failed so: {}.",
                f("text_matches"),
                f("tool_output_missing_calls"),
            )
        )
    found = classes(entries)
    faults = _by(whole, "fault", (e.failure.fault for e in entries if e.failure))
    return Section(
        id="errors",
        title="Errors",
        paragraphs=(tuple(words),),
        tables=(
            table("By the party at fault", ("Fault",), _ERRORS, faults),
            table("By class", ("Class",), _ERRORS, (((one,), whole.part(failure=one)) for one in found)),
        )
        if found
        else (),
        quotes=tuple(quote for one in found[:_EXAMPLES] for quote in quoted(entries, one)),
    )
