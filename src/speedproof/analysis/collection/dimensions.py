"""What attempts are chosen by: each dimension with its meaning, and the conditions over them.

A condition is a value; a list of values of which one must hold; or a bound written as text: ">= 50", "< 5",
"100..999" with both ends, "100..<1000" without the upper. Null chooses attempts of which the dimension is unknown;
"not null" those of which it is known.
"""

import operator
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from speedproof.analysis.collection.entry import Entry
from speedproof.analysis.collection.history import SUCCESS, Rule
from speedproof.errors import InputError

if TYPE_CHECKING:
    from speedproof.analysis.collection.collection import Collection

Plain = str | int | float | bool | None
Where = Mapping[str, Plain | list[Plain]]
"""Dimension → what must hold; all of them must."""

BOUND = re.compile(r"(<=|>=|<|>|!=)\s*(-?\d+(?:\.\d+)?)")
"""A condition that bounds a number on one side."""
RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(<?)(-?\d+(?:\.\d+)?)")
"""A condition that bounds it on both."""
_TESTS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "!=": operator.ne}

Shows = Callable[[Entry, "Collection"], Plain]
"""How an attempt of a whole collection shows a dimension."""


def _at_commit(rule: Rule) -> Shows:
    return lambda e, c: c.history.states[rule].get(e.attempt.commit or "")


def _previously(of: Callable[[Entry], Plain]) -> Shows:
    return lambda e, c: of(earlier) if (earlier := c.history.previous.get(e.name)) else None


DIMENSIONS: dict[str, tuple[str, Shows]] = {
    "attempt": ("its name: run/item", lambda e, _: e.name),
    "archive": ("id of the archive or the run it was read from", lambda e, _: e.attempt.archive),
    "layout": ("what its files are", lambda e, _: e.attempt.layout),
    "run": ("the run it belongs to", lambda e, _: e.attempt.run),
    "item": ("name of the item", lambda e, _: e.attempt.item),
    "task": ("name of the task", lambda e, _: e.attempt.task),
    "commit": ("the expert's commit, or its beginning", lambda e, _: e.attempt.commit),
    "repository": ("the repository by its label", lambda e, _: e.attempt.repository),
    "agent": ("the agent, by evidence or else by label", lambda e, _: e.attempt.agent.value),
    "model": ("the model, by evidence or else by label", lambda e, _: e.attempt.model.value),
    "model_evidence": ("what the model's name rests on", lambda e, _: e.attempt.model.confidence),
    "recorded": ("the status that the archive claims", lambda e, _: e.attempt.recorded.status),
    "recorded_success": ("whether that means success", lambda e, _: e.recorded),
    "error_text": ("whether the archive holds an error text", lambda e, _: bool(e.attempt.recorded.error)),
    "exit_code": ("the exit code as recorded: negative for a signal", lambda e, _: e.attempt.recorded.exit_code),
    "run_status": ("how the process went, by our rules", lambda e, _: e.attempt.run_status),
    "patch": ("what kind of patch there is, by our rules", lambda e, _: e.attempt.patch_status),
    "patch_bytes": ("bytes of the patch", lambda e, _: e.attempt.patch.size if e.attempt.patch else None),
    "failure": ("class of the diagnosis", lambda e, _: e.failure.value if e.failure else None),
    "fault": (
        "the party at fault: infrastructure, model, agent, task",
        lambda e, _: e.failure.fault if e.failure else None,
    ),
    "confidence": (
        "what the diagnosis rests on: direct, inferred, weak",
        lambda e, _: e.attempt.diagnosis.confidence if e.attempt.diagnosis else None,
    ),
    "usage_source": ("where its tokens are told", lambda e, _: e.attempt.usage_source),
    "input_tokens": ("tokens of input, cached included", lambda e, _: e.input_tokens),
    "wall_s": ("seconds it ran", lambda e, _: e.attempt.wall_s),
    "steps": ("steps it took", lambda e, _: e.attempt.steps),
    "exit_and_patch": ("success rule: exit code 0 and patch bytes", lambda e, _: e.attempt.exit_and_patch),
    "strict": ("success rule: exit code 0, a patch with an effect, no error", lambda e, _: e.attempt.strict),
    "confirmed": ("success rule: strict, and the agent's own word and calls agree", lambda e, _: e.attempt.confirmed),
    "proven": ("success rule: judged correct, faster and clean", lambda e, _: e.proven),
    "agent_success": (
        "what the agent says of itself",
        lambda e, _: e.attempt.outcome.claims_success if e.attempt.outcome else None,
    ),
    "date": ("day it was concluded, UTC: 2025-10-08", lambda e, _: e.at.date().isoformat() if e.at else None),
    "prompt_sha256": ("digest of the prompt's bytes, or its beginning", lambda e, _: e.attempt.prompt_sha256),
    "prompt_template_sha256": (
        "digest of the prompt without the task's particulars, or its beginning",
        lambda e, _: e.attempt.prompt_template_sha256,
    ),
    "config_sha256": ("digest of its configuration, or its beginning", lambda e, _: e.attempt.config_sha256),
    "called": ("whether it called the model", lambda e, _: e.called),
    "agent_evidence": ("what the agent's name rests on", lambda e, _: e.attempt.agent.confidence),
    "expert_shown": (
        "whether its prompt, log or trajectory shows something of the expert's change",
        lambda e, _: bool(e.attempt.expert_shown),
    ),
    "patch_seen_before": (
        "whether its patch is byte for byte that of an earlier attempt",
        lambda e, c: bool(c.history.same_patch(e)),
    ),
    "run_items": ("attempts in its run", lambda e, c: len(c.by_run[e.attempt.run])),
    "failed_alike": (
        "whether it failed, through infrastructure or provider, as three before it in its run had",
        lambda e, c: e.name in c.history.alike,
    ),
    "period": (
        "first day of the period it falls into: periods are parted by days without attempts",
        lambda e, c: c.history.periods[e.at.date()].isoformat() if e.at else None,
    ),
    "commit_attempts": (
        "attempts at its commit",
        lambda e, c: len(c.by_commit[e.attempt.commit]) if e.attempt.commit else None,
    ),
    "commit_tried": (
        "the runs in which its commit was tried: alone (one attempt), batch (more), both",
        lambda e, c: c.history.ways.get(e.attempt.commit or ""),
    ),
    "turn": (
        "what it is at its commit: first; retry: another had ended before its run, or in its run it, began; concurrent",
        lambda e, c: c.history.turns.get(e.name),
    ),
    "after_failure": (
        "of a retry: class of the diagnosis of the attempt before it",
        _previously(lambda e: e.failure.value if e.failure else None),
    ),
    "after_recorded": (
        "of a retry: whether the attempt before it is recorded as a success",
        _previously(SUCCESS["recorded"]),
    ),
    "mixed_because": (
        "of a failure at a commit with successes, as recorded: infrastructure, provider, configuration or unexplained",
        lambda e, c: c.history.because.get(e.name),
    ),
    **{
        f"{rule}_at_commit": (
            f"whether the attempts at its commit succeed, by the rule {rule}: always, mixed, never",
            _at_commit(rule),
        )
        for rule in SUCCESS
    },
}
"""Name → what it means, and how an attempt of a collection shows it."""

ANY = "not null"
"""The condition that a dimension is known, whatever it is."""
_SHOWN = 80
"""Characters of a name that does not exist."""
WHOLE_COMMIT = 40
"""Digits of a commit that is not abbreviated."""
BY_BEGINNING = ("commit", "prompt_sha256", "prompt_template_sha256", "config_sha256")
"""Dimensions of which a beginning is enough."""


def known(where: Where) -> None:
    """Raises InputError for a dimension that does not exist."""
    for name in where:
        if name not in DIMENSIONS:
            near = get_close_matches(name, DIMENSIONS)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(DIMENSIONS)}"
            raise InputError(f"no dimension is called {name[:_SHOWN]!r}", hint=hint)


def chooser(where: Where, whole: "Collection") -> Callable[[Entry], bool]:
    """What tells whether all conditions hold for an attempt of the whole collection; their dimensions are known."""
    tests = [(DIMENSIONS[name][1], condition(name, wanted)) for name, wanted in where.items()]
    return lambda entry: all(holds(shows(entry, whole)) for shows, holds in tests)


def condition(name: str, wanted: Plain | list[Plain]) -> Callable[[Plain], bool]:
    """What tells whether a condition holds for a value of this dimension."""
    if isinstance(wanted, list):
        tests = [condition(name, one) for one in wanted]
        return lambda value: any(test(value) for test in tests)
    if wanted is None:
        return lambda value: value is None
    if isinstance(wanted, str):
        if wanted == ANY:
            return lambda value: value is not None
        if bound := BOUND.fullmatch(wanted):
            compare, limit = _TESTS[bound[1]], float(bound[2])
            return lambda value: bool(compare(value, limit)) if isinstance(value, int | float) else value == wanted
        if ends := RANGE.fullmatch(wanted):
            low, high, below = float(ends[1]), float(ends[3]), operator.lt if ends[2] else operator.le
            return lambda value: (
                bool(low <= value and below(value, high)) if isinstance(value, int | float) else value == wanted
            )
        if name in BY_BEGINNING:
            return lambda value: value is not None and str(value).startswith(wanted)
    kind = isinstance(wanted, bool)
    return lambda value: value == wanted and isinstance(value, bool) is kind


def is_exact(name: str, wanted: Plain | list[Plain]) -> bool:
    """Whether a condition is a value that the dimension must have, and no bound, list or beginning."""
    if isinstance(wanted, str):
        if name in BY_BEGINNING:
            return len(wanted) == WHOLE_COMMIT and name == "commit"
        return wanted != ANY and not BOUND.fullmatch(wanted) and not RANGE.fullmatch(wanted)
    return not isinstance(wanted, list)
