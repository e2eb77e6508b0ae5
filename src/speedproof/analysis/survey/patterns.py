"""Patterns over all attempts: status, exit codes, patches, durations, tokens, costs and errors."""

from collections import Counter

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Quote, Section, Sentence
from speedproof.analysis.survey.making import Maker
from speedproof.analysis.survey.rules import by_rule

SIZES: dict[str, Where] = {
    "none: no file, or empty": {"patch": ["missing", "empty"]},
    "tiny: below 100 B": {"patch_bytes": "1..<100"},
    "small: below 1,000 B": {"patch_bytes": "100..<1000"},
    "medium: below 10,000 B": {"patch_bytes": "1000..<10000"},
    "large": {"patch_bytes": ">= 10000"},
}
"""Size classes of patches, as the earlier harness's analysis has them."""
_SECONDS = (0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_TOKENS = (0, 1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
_EXAMPLES = 12


def patterns_section(maker: Maker) -> Section:
    """Patterns over all attempts."""
    parts = (_status, _exit_codes, _patches, _durations, _tokens, _costs, _errors)
    return Section(id="patterns", title="Patterns", sections=tuple(part(maker) for part in parts))


def _status(maker: Maker) -> Section:
    names = Counter(e.attempt.recorded.status for e in maker.collection.entries)
    lines: list[tuple[str, Where]] = [(name or "none recorded", {"recorded": name}) for name, _ in names.most_common()]
    ours = Counter(e.attempt.run_status for e in maker.collection.entries)
    words = (
        maker.say(
            "By attempts {} are recorded as a success; by commits, any success counting, {}.",
            maker.figure("recorded_rate"),
            maker.figure("commits_recorded_rate"),
        ),
    )
    return Section(
        id="status",
        title="Status",
        paragraphs=(words,),
        tables=(
            by_rule(maker, "As recorded", "Status", lines),
            by_rule(maker, "By our rules", "Run", [(name, {"run_status": name}) for name, _ in ours.most_common()]),
        ),
    )


def _exit_codes(maker: Maker) -> Section:
    codes = Counter(e.attempt.recorded.exit_code for e in maker.collection.entries)
    lines: list[tuple[str, Where]] = [
        ("none" if code is None else str(code), {"exit_code": code}) for code, _ in codes.most_common()
    ]
    point = maker.say(
        "{} attempts are recorded as a success with another exit code than zero, {} as a failure with exit code "
        "zero and "
        "a patch.",
        maker.figure("successes_with_bad_exit"),
        maker.figure("failures_with_patch"),
    )
    return Section(
        id="exit-codes",
        title="Exit codes",
        paragraphs=((point,),),
        tables=(by_rule(maker, "Exit codes as recorded; negative for a signal", "Exit code", lines),),
    )


def _patches(maker: Maker) -> Section:
    f = maker.figure
    words = (
        maker.say(
            "{} of all attempts left no patch; {} of these are recorded as a success.",
            f("no_patch_rate"),
            f("successes_without_patch"),
        ),
        maker.say(
            "{} patches hold the file of the patch itself, {} change tests.",
            f("patches_with_own_file"),
            f("patches_with_tests"),
        ),
    )
    kinds = Counter(e.attempt.patch_status for e in maker.collection.entries)
    return Section(
        id="patch-sizes",
        title="Patches",
        paragraphs=(words,),
        tables=(
            by_rule(maker, "By size", "Size", list(SIZES.items())),
            by_rule(
                maker, "By kind", "Kind", [(name.replace("_", " "), {"patch": name}) for name, _ in kinds.most_common()]
            ),
        ),
        charts=(maker.bars("Attempts by size of patch", "size of patch", "attempts", SIZES),),
    )


def _durations(maker: Maker) -> Section:
    f = maker.figure
    bins: dict[str, Where] = {}
    for low, high in zip(_SECONDS, [*_SECONDS[1:], None], strict=True):
        bound = f">= {low}" if high is None else f"{low}..<{high}"
        bins[_span(low) if high is None else f"{_span(low)} – {_span(high)}"] = {"wall_s": bound}
    words = (
        maker.say(
            "An attempt ran {} on average, {} in the middle; the shortest {}, the longest {}.",
            f("wall_mean"),
            f("wall_median"),
            f("wall_shortest"),
            f("wall_longest"),
        ),
        maker.say(
            "Recorded successes: {} on average, {} in the middle; recorded failures: {} and {}.",
            f("wall_mean", recorded_success=True),
            f("wall_median", recorded_success=True),
            f("wall_mean", recorded_success=False),
            f("wall_median", recorded_success=False),
        ),
        *_humps(maker),
    )
    return Section(
        id="durations",
        title="Durations",
        paragraphs=(words,),
        charts=(maker.bars("Attempts by duration", "time the agent ran", "attempts", bins, kind="histogram"),),
    )


def _humps(maker: Maker) -> tuple[Sentence, ...]:
    """Whether the durations fall into two groups with few between."""
    f = maker.figure
    short, middle, long = f("attempts", wall_s="< 5"), f("attempts", wall_s="5..<60"), f("attempts", wall_s=">= 60")
    counts = [one.attempts for one in (short, middle, long)]
    if not min(counts[0], counts[2]) > 2 * counts[1]:
        return ()
    failed = f("failures_before_any_call", wall_s="< 5")
    return (
        maker.say(
            "There are two humps: {} attempts ended within seconds, {} of them before any model call was made, "
            "{} took a "
            "minute or more, and only {} lie between.",
            short,
            failed,
            long,
            middle,
        ),
    )


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"


def _tokens(maker: Maker) -> Section:
    f = maker.figure
    bins: dict[str, Where] = {}
    for low, high in zip(_TOKENS, [*_TOKENS[1:], None], strict=True):
        bound = f">= {low}" if high is None else f"{low}..<{high}"
        bins[f"{low:,} and more" if high is None else f"{low:,} – {high:,}"] = {"input_tokens": bound}
    words = [
        maker.say(
            "{} tokens of input, {} of them read afresh and {} from caches; {} of output.",
            f("input_tokens"),
            f("uncached_input_tokens"),
            f("cached_input_tokens"),
            f("output_tokens"),
        ),
        maker.say("{} attempts hold a usage record that cannot be.", f("impossible_usage")),
    ]
    if f("first_line_input_tokens").value:
        legacy = maker.say(
            "Reading the first running total of each log instead gives {} and {}: that is what the first answer took.",
            f("first_line_input_tokens"),
            f("first_line_output_tokens"),
        )
        words.append(legacy)
    return Section(
        id="tokens",
        title="Tokens",
        paragraphs=(tuple(words),),
        charts=(
            maker.bars(
                "Attempts by tokens of input", "tokens of input, cached included", "attempts", bins, kind="histogram"
            ),
        ),
    )


def _costs(maker: Maker) -> Section:
    models = Counter(e.attempt.model.value for e in maker.collection.entries)
    lines: list[tuple[str, Where]] = [("all", {})]
    lines += [(name or "unknown", {"model": name}) for name, _ in models.most_common()]
    f = maker.figure
    words = [
        maker.say(
            "At list prices a recorded success cost {}, a confirmed one {}, failures included.",
            f("list_price_per_recorded_success"),
            f("list_price_per_confirmed_success"),
        ),
    ]
    if f("first_line_flat_price").value:
        legacy = maker.say(
            "Flat prices of one cent and three cents per thousand tokens would make {} of the first lines, and "
            "{} of all "
            "tokens: they know neither model nor cache.",
            f("first_line_flat_price"),
            f("flat_price"),
        )
        words.append(legacy)
    columns = [
        ("Attempts", "attempts"),
        ("With a price", "attempts_with_list_price"),
        ("List price", "list_price"),
        ("Billed", "billed"),
        ("Confirmed", "confirmed"),
        ("Per confirmed success", "list_price_per_confirmed_success"),
    ]
    return Section(
        id="costs",
        title="Costs",
        paragraphs=(tuple(words),),
        tables=(maker.table("By model", "Model", columns, lines),),
    )


def _errors(maker: Maker) -> Section:
    groups = Counter(e.failure for e in maker.collection.entries if e.failure is not None)
    lines: list[tuple[str, Where]] = [(one.value, {"failure": one.value}) for one, _ in groups.most_common()]
    columns = [
        ("Attempts", "attempts"),
        ("Recorded failures", "recorded_failures"),
        ("Recorded successes", "recorded_successes"),
        ("Runs", "runs"),
        ("Time", "wall_s"),
        ("Steps", "steps"),
        ("List price", "list_price"),
    ]
    faults: list[tuple[str, Where]] = [
        (name, {"fault": name}) for name, _ in Counter(one.fault for one in groups.elements()).most_common()
    ]
    quotes = []
    for one, _ in groups.most_common(_EXAMPLES):
        entry = next(e for e in maker.collection.entries if e.failure is one)
        assert entry.attempt.diagnosis is not None
        for evidence in entry.attempt.diagnosis.evidence[:1]:
            file = f"{entry.attempt.folder}/{evidence.file}"
            quotes.append(Quote(attempt=entry.name, file=file, line=evidence.line, text=evidence.excerpt or one.value))
    words = [
        maker.say(
            "{} attempts have a diagnosis. {} model calls failed; text matches of one of their messages would be {}.",
            maker.figure("causes_found"),
            maker.figure("failed_calls"),
            maker.figure("text_matches"),
        )
    ]
    return Section(
        id="errors",
        title="Errors",
        paragraphs=(tuple(words),),
        tables=(
            maker.table("By the party at fault", "Fault", columns, faults),
            maker.table("By class", "Class", columns, lines),
        ),
        quotes=tuple(quotes),
    )
