"""Rules on what of the expert's change the agent could see."""

from collections.abc import Iterator

from speedproof.analysis.audit.finding import Found, Unseen, counted, shown
from speedproof.analysis.audit.rule import Rule, rule
from speedproof.analysis.audit.subject import Subject

_LOOKED_AT = ("text", "prompt", "log", "trajectory", "rollout", "events")
"""Kinds of files in which the expert's change is looked for."""


def _showing(name: str, what: tuple[str, ...], title: str, said: str, why: str) -> Rule:
    def look(subject: Subject) -> Iterator[Found | Unseen]:
        blind = 0
        for entry in subject.foreign:
            seen = [each for each in entry.attempt.expert_shown if each.what in what]
            if seen:
                times: dict[str, int] = {}
                for each in seen:
                    times[each.where] = times.get(each.where, 0) + each.times
                where = ", ".join(f"{counted(number, 'time')} in its {place}" for place, number in times.items())
                yield Found(f"{said} ({where})", (entry,), tuple(shown(entry, each.evidence) for each in seen))
            elif not any(file.kind in _LOOKED_AT and file.size for file in entry.attempt.files):
                blind += 1
        if blind:
            yield Unseen("neither prompt nor log nor trajectory was kept", blind)

    do = "Take it out of the prompt and of the repository's history, and run the item again; count this one apart."
    return rule(name, "error", title, why=why, do=do)(look)


RULES = (
    _showing(
        "expert-hash-shown",
        ("hash",),
        "The expert's commit is named",
        "the hash of the expert's commit stands there",
        "Whoever has the hash can fetch, or recall, the answer.",
    ),
    _showing(
        "expert-message-shown",
        ("diffstat", "message"),
        "The expert's message or diffstat is shown",
        "a summary of a change stands there",
        "It says what to change, in which files, and how much: half of the answer.",
    ),
    _showing(
        "expert-diff-shown",
        ("diff",),
        "A diff is shown",
        "a whole diff stands there",
        "The agent need only copy it. Where it is the expert's, nothing is left to find.",
    ),
)
