"""Recommendations, ranked: what to change first, with the attempts and the money that it would have spared."""

from collections.abc import Callable
from dataclasses import dataclass

from speedproof.analysis.measures import measured
from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.making import Maker
from speedproof.journal.failure import FailureClass

_KEY = ["model/auth/bad_key", "model/auth/login_expired", "model/auth/forbidden"]
_LIMITS = ["model/quota/exhausted", "model/quota/usage_limit", "model/rate_limited", "model/server_error"]


@dataclass(frozen=True)
class Advice:
    """One recommendation."""

    horizon: str
    """immediate, short or long."""
    measure: str
    """What counts the attempts that it is about: none, no advice."""
    words: Callable[[Maker], Sentence]
    """What to do, and what it would have spared."""
    where: dict[str, list[str]] | None = None
    """Conditions of that count."""


ADVICE = (
    Advice(
        "immediate",
        "failures_before_any_call",
        lambda m: m.say(
            "Check configuration, agent and paths before a run begins: {} attempts failed before any model call, "
            "which "
            "took {}.",
            m.figure("failures_before_any_call"),
            m.figure("wall_s", fault="infrastructure"),
        ),
    ),
    Advice(
        "immediate",
        "successes_unconfirmed",
        lambda m: m.say(
            "Derive success from facts: exit code, a patch with an effect, the agent's own word, calls with "
            "output. {} "
            "recorded successes would not have been called so; {} of all spending went into them.",
            m.figure("successes_unconfirmed"),
            m.figure("list_price", recorded_success=True, confirmed=False),
        ),
    ),
    Advice(
        "immediate",
        "errors_without_text",
        lambda m: m.say(
            "Record the cause with each failure: {} have none, and {} of these are told by their own logs.",
            m.figure("errors_without_text"),
            m.figure("causes_found", recorded_success=False, error_text=False),
        ),
    ),
    Advice(
        "immediate",
        "failed_alike_before",
        lambda m: m.say(
            "Stop a run that fails alike: {} attempts failed just as three before them in their run had.",
            m.figure("failed_alike_before"),
        ),
    ),
    Advice(
        "immediate",
        "attempts",
        lambda m: m.say(
            "Try key and login before a run: {} attempts failed for them, after {} and {}.",
            m.figure("attempts", failure=list(_KEY)),
            m.figure("wall_s", failure=list(_KEY)),
            m.figure("list_price", failure=list(_KEY)),
        ),
        {"failure": _KEY},
    ),
    Advice(
        "immediate",
        "patches_seen_before",
        lambda m: m.say(
            "Give every attempt a fresh workspace: {} patches were those of earlier attempts.",
            m.figure("patches_seen_before"),
        ),
    ),
    Advice(
        "immediate",
        "expert_shown",
        lambda m: m.say("Keep the expert's change out of prompts: {} attempts saw of it.", m.figure("expert_shown")),
    ),
    Advice(
        "short",
        "tool_output_missing_attempts",
        lambda m: m.say(
            "Keep conversations legal: answer every tool call before the next request. {} attempts ended at a "
            "call without "
            "its output, which cost {}.",
            m.figure("attempts", failure=FailureClass.TOOL_OUTPUT_MISSING.value),
            m.figure("list_price", failure=FailureClass.TOOL_OUTPUT_MISSING.value),
        ),
    ),
    Advice(
        "short",
        "attempts",
        lambda m: m.say(
            "Wait where a provider limits, and hold what the quota cannot pay: {} attempts failed for it, after "
            "{} and {}.",
            m.figure("attempts", failure=list(_LIMITS)),
            m.figure("wall_s", failure=list(_LIMITS)),
            m.figure("list_price", failure=list(_LIMITS)),
        ),
        {"failure": _LIMITS},
    ),
    Advice(
        "short",
        "model_by_label_only",
        lambda m: m.say(
            "Record each call as it goes over the wire, with model and usage: {} attempts have no evidence of "
            "their model, "
            "and the cost of {} is unknown.",
            m.figure("model_by_label_only"),
            m.figure("attempts", usage_source="unknown"),
        ),
    ),
    Advice(
        "short",
        "commits_only_concurrent",
        lambda m: m.say(
            "Run an item once at a time: {} commits were worked on twice at once.", m.figure("commits_only_concurrent")
        ),
    ),
    Advice(
        "long",
        "patches",
        lambda m: m.say(
            "Judge the patches: {} were left, and {} attempts are proven. Only a measurement can say that code "
            "is faster.",
            m.figure("patches"),
            m.figure("proven"),
        ),
    ),
    Advice(
        "long",
        "commits_with_several_attempts",
        lambda m: m.say(
            "Compare agents and models on the same commits, at the same time, with the same prompt: {} commits "
            "have several "
            "attempts, made under different conditions.",
            m.figure("commits_with_several_attempts"),
        ),
    ),
)
"""All advice; a report gives that which has an attempt to speak of, the most attempts first within each horizon."""


def recommendations_section(maker: Maker) -> Section:
    """What to do."""
    parts = []
    for horizon, title in (("immediate", "Now"), ("short", "Soon"), ("long", "In the long run")):
        found = [(_size(maker, one), one) for one in ADVICE if one.horizon == horizon]
        ranked = sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])
        if ranked:
            points = tuple(one.words(maker) for _, one in ranked)
            parts.append(Section(id=f"recommended-{horizon}", title=title, points=points))
    none = () if parts else ((maker.say("There is nothing to recommend."),),)
    return Section(id="recommendations", title="Recommendations", paragraphs=none, sections=tuple(parts))


def _size(maker: Maker, advice: Advice) -> int:
    value = measured(maker.collection, advice.measure, {k: list(v) for k, v in (advice.where or {}).items()})
    return len(value.counted)
