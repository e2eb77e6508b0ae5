"""Recommendations, ranked: what to change first, with the attempts and the money that it concerns."""

from collections.abc import Sequence
from dataclasses import dataclass

from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.survey.document import Section, Sentence
from speedproof.analysis.survey.part import Part, Saying, saying
from speedproof.analysis.survey.phrases import say
from speedproof.journal.failure import FailureClass

_KEY: Sequence[Plain] = ("model/auth/bad_key", "model/auth/login_expired", "model/auth/forbidden")
_LIMITS: Sequence[Plain] = (
    "model/quota/exhausted",
    "model/quota/usage_limit",
    "model/rate_limited",
    "model/server_error",
)


@dataclass(frozen=True)
class Advice:
    """One recommendation."""

    horizon: str
    """immediate, short or long."""
    words: Saying
    """What to do, and why."""
    where: dict[str, Plain | list[Plain]]
    """The attempts that it is about: none, no advice."""
    saves: bool = False
    """Whether they need not have been made, or not to their end."""


ADVICE = (
    Advice(
        "immediate",
        saying(
            "Check configuration, agent and paths before a run begins: attempts failed through the infrastructure, and "
            "no file shows a model call of theirs."
        ),
        {"fault": "infrastructure", "called": [False, None]},
        saves=True,
    ),
    Advice(
        "immediate",
        saying(
            "Derive success from facts: exit code, a patch with an effect, the agent's own word, calls with output. "
            "Recorded successes are not confirmed by them."
        ),
        {"recorded_success": True, "confirmed": False},
    ),
    Advice(
        "immediate",
        saying(
            "Record the cause with each failure. The files tell it of {} of those that are recorded without.",
            "errors_explained",
        ),
        {"recorded_success": False, "error_text": False},
    ),
    Advice(
        "immediate",
        saying("Stop a run that fails alike: attempts failed just as three before them in their run had."),
        {"failed_alike": True},
        saves=True,
    ),
    Advice(
        "immediate",
        saying("Try key and login before a run, and stop it when they are refused."),
        {"failure": [*_KEY]},
        saves=True,
    ),
    Advice(
        "immediate",
        saying("Give every attempt a fresh workspace: patches were byte for byte those of earlier attempts."),
        {"patch_seen_before": True},
    ),
    Advice(
        "immediate",
        saying("Keep the expert's change out of prompts and of what agents can read."),
        {"expert_shown": True},
    ),
    Advice(
        "short",
        saying(
            "Keep conversations legal: answer every tool call before the next request. Attempts ended where it was not."
        ),
        {"failure": FailureClass.TOOL_OUTPUT_MISSING.value},
        saves=True,
    ),
    Advice(
        "short",
        saying("Wait where a provider limits, and begin nothing that the quota cannot pay."),
        {"failure": [*_LIMITS]},
        saves=True,
    ),
    Advice(
        "short",
        saying("Mend what failed before trying again: retries failed through infrastructure or provider."),
        {"turn": "retry", "fault": ["infrastructure", "model"]},
        saves=True,
    ),
    Advice(
        "short",
        saying("Record each call as it goes over the wire, with model and usage: no file tells what attempts used."),
        {"usage_source": "unknown"},
    ),
    Advice(
        "short",
        saying(
            "Run an item once at a time, unless several samples are wanted: runs worked on commits at the same time."
        ),
        {"turn": "concurrent"},
    ),
    Advice(
        "long",
        saying("Judge the patches that nobody has judged: only a measurement can say that code is faster."),
        {"patch": ["no_effect", "tests_only", "present"], "proven": None},
    ),
    Advice(
        "long",
        saying(
            "Compare agents and models on the same commits, at the same time, with the same prompt: {} "
            "[commit has|commits have] several attempts.",
            "commits_with_several_attempts",
        ),
        {"commit_attempts": ">= 2"},
    ),
)
"""All advice; a report gives that which has an attempt to speak of, the most attempts first within each horizon."""


def recommendations_section(whole: Part) -> Section:
    """What to do."""
    sections = []
    for horizon, title in (("immediate", "Now"), ("short", "Soon"), ("long", "In the long run")):
        found = [(whole.part(**one.where), one) for one in ADVICE if one.horizon == horizon]
        found = sorted(
            (pair for pair in found if pair[0].collection.entries), key=lambda p: -len(p[0].collection.entries)
        )
        if found:
            points = tuple((*one.words(whole), " ", *_concerned(part, one)) for part, one in found)
            sections.append(Section(id=f"recommended-{horizon}", title=title, points=points))
    said = (
        say("Each names the attempts it is about, how long they ran and what they cost. An attempt may count twice.")
        if sections
        else say("There is nothing to recommend.")
    )
    return Section(id="recommendations", title="Recommendations", paragraphs=((said,),), sections=tuple(sections))


def _concerned(part: Part, advice: Advice) -> Sentence:
    words = "It could have saved up to {} [attempt|attempts]" if advice.saves else "It concerns {} [attempt|attempts]"
    wall, price = part.figure("wall_s"), part.figure("list_price")
    ran = say(", {} of running", wall) if wall.value is not None else (", running for an unknown time",)
    cost = say(" and {} at list prices.", price) if price.value is not None else (" at an unknown cost.",)
    return (*say(words, part.figure("attempts")), *ran, *cost)
