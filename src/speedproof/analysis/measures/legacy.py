"""Wrong ways to count that published figures rest on: kept to show how a figure came to be, never to report one."""

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.counts import attempts
from speedproof.analysis.measures.measure import Value, measure, over, summed
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
    wrong = [e for e in chosen.entries if e.attempt.legacy.step_as_text != e.attempt.legacy.greatest_step]
    return Value(len(wrong), tuple(wrong))


@measure("", wrong="a log repeats one failed call in every retry, traceback and box")
def text_matches(chosen: Collection) -> Value:
    """How often the logs say "No tool output found for function call"."""
    return summed(chosen, lambda e: e.attempt.legacy.no_tool_output_matches)


@measure("", wrong="text matches are no calls, and few attempts have any")
def text_matches_per_attempt(chosen: Collection) -> Value:
    """Those matches, for each attempt."""
    found, every = text_matches.of(chosen), attempts.of(chosen)
    if not isinstance(found.value, int | float) or not every.counted:
        return Value(None, why="there is no attempt")
    return Value(found.value / len(every.counted), every.counted)


def _flat(read: Value, written: Value) -> Value:
    if not isinstance(read.value, int | float) or not isinstance(written.value, int | float):
        return Value(None, (), read.unknown, why="no file tells tokens")
    cost = read.value * FLAT_INPUT_USD + written.value * FLAT_OUTPUT_USD
    return Value(cost, read.counted, read.unknown)
