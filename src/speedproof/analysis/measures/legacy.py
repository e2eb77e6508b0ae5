"""Wrong ways to count that published figures rest on: kept to show how a figure came to be, never to report one."""

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.commits import recorded_in_order, the_first
from speedproof.analysis.measures.counts import attempts, attempts_with_patch_file
from speedproof.analysis.measures.measure import Value, count, each, measure, over, share, summed
from speedproof.analysis.measures.patches import empty_patch_files, no_patch
from speedproof.analysis.measures.tokens import input_tokens, output_tokens

FLAT_INPUT_USD = 0.01 / 1000
"""A token of input at the flat price that the earlier harness's analysis used."""
FLAT_OUTPUT_USD = 0.03 / 1000
"""A token of output likewise."""


@measure("tokens", wrong="the first running total of a log is that of the first answer, not of the attempt")
def first_line_input_tokens(chosen: Collection) -> Value:
    """Input tokens in the first line of each log that tells a running total, summed."""
    return summed(chosen, lambda e: e.attempt.legacy.first_input)


@measure("tokens", wrong="the first running total of a log is that of the first answer, not of the attempt")
def first_line_output_tokens(chosen: Collection) -> Value:
    """Output tokens in the first line of each log that tells a running total, summed."""
    return summed(chosen, lambda e: e.attempt.legacy.first_output)


@measure("USD", wrong="tokens of the first answers only, at one price for every model, without the cache")
def first_line_flat_price(chosen: Collection) -> Value:
    """US dollars for the tokens of the first lines, at $0.01 and $0.03 per 1,000 tokens of input and output."""
    return _flat(first_line_input_tokens.of(chosen), first_line_output_tokens.of(chosen))


@measure("USD", wrong="one price for every model, and cached input at the price of uncached")
def flat_price(chosen: Collection) -> Value:
    """US dollars for all tokens, at $0.01 and $0.03 per 1,000 tokens of input and output."""
    return _flat(input_tokens.of(chosen), output_tokens.of(chosen))


@measure("steps", wrong="compared as text, 9 is more than 40")
def steps_as_text(chosen: Collection) -> Value:
    """The greatest step number in the logs, compared as text."""
    return over(chosen, lambda e: e.attempt.legacy.step_as_text, lambda every: max(every, key=lambda n: str(int(n))))


@measure("attempts", wrong="it counts the logs in which comparing as text goes wrong")
def attempts_with_wrong_step(chosen: Collection) -> Value:
    """Attempts whose greatest step number, compared as text, is not the greatest."""
    return count(e for e in chosen.entries if e.attempt.legacy.step_as_text != e.attempt.legacy.greatest_step)


@measure("attempts", wrong="it counts the logs in which comparing as text goes wrong")
def attempts_with_step_nine(chosen: Collection) -> Value:
    """Attempts whose greatest step number is more than 9, and 9 when compared as text."""
    return count(
        e for e in chosen.entries if e.attempt.legacy.step_as_text == 9 and (e.attempt.legacy.greatest_step or 0) > 9
    )


@measure("", wrong="a log repeats one failed call in every retry, traceback and box")
def text_matches(chosen: Collection) -> Value:
    """How often the logs say "No tool output found for function call"."""
    return summed(chosen, lambda e: e.attempt.legacy.no_tool_output_matches)


@measure("", wrong="text matches are no calls, and few attempts have any")
def text_matches_per_attempt(chosen: Collection) -> Value:
    """How often the logs say "No tool output found for function call", for each attempt."""
    return each(text_matches.of(chosen), attempts.of(chosen))


@measure("%", wrong="of the attempts without patch bytes, those whose file is missing are left out, on both sides")
def empty_of_patch_files(chosen: Collection) -> Value:
    """Patch files that are empty, of all patch files."""
    return share(empty_patch_files.of(chosen), attempts_with_patch_file.of(chosen))


@measure("%", wrong="a missing file counts as an empty patch, and not as one of all patches")
def no_patch_of_patch_files(chosen: Collection) -> Value:
    """Attempts that left no patch bytes, of those that have a patch file."""
    return share(no_patch.of(chosen), attempts_with_patch_file.of(chosen))


@measure("%", wrong="attempts whose patch file is missing are not among the whole")
def share_of_patch_files(chosen: Collection) -> Value:
    """The chosen attempts, of all that have a patch file."""
    return share(attempts.of(chosen), attempts_with_patch_file.of(chosen.whole or chosen))


@measure("text", wrong="names of runs say nothing of when they were made")
def latest_status_by_run_name(chosen: Collection) -> Value:
    """What is recorded of the last of the attempts, in the order of their runs' names."""
    last = _by_run_name(chosen)[-1:]
    status = last[0].attempt.recorded.status if last else None
    return Value(status, last, why=None if status else "it is not recorded")


@measure("text", wrong="names of runs say nothing of when they were made")
def first_success_by_run_name(chosen: Collection) -> Value:
    """The first attempt that is recorded as a success, in the order of the runs' names."""
    return the_first(_by_run_name(chosen), "recorded")


@measure("text", wrong="names of runs say nothing of when they were made")
def sequence_by_run_name(chosen: Collection) -> Value:
    """What is recorded of the attempts, in the order of their runs' names."""
    return recorded_in_order(_by_run_name(chosen))


def _by_run_name(chosen: Collection) -> tuple[Entry, ...]:
    return tuple(sorted(chosen.entries, key=lambda e: (e.attempt.run, e.attempt.item)))


def _flat(read: Value, written: Value) -> Value:
    if not isinstance(read.value, int | float) or not isinstance(written.value, int | float):
        return Value(None, (), read.unknown, why="no file tells tokens")
    cost = read.value * FLAT_INPUT_USD + written.value * FLAT_OUTPUT_USD
    return Value(cost, read.counted, read.unknown)
