"""Rules on settings: what reports claim, what configurations say, and what was seen of it in use."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from speedproof.analysis.audit.finding import MOST_PLACES, Found, Place, Unseen, place
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Entry
from speedproof.analysis.parameters import parameter_lines
from speedproof.analysis.row import Row
from speedproof.journal.base import canonical_json
from speedproof.journal.foreign_parts import SettingSeen

_VARIED = {"model", "model_name", "model_provider", "provider", "llm_provider"}
"""Settings that runs of one archive vary on purpose; rules on labels look at these."""
_ON_THE_WIRE = {
    "frequency_penalty",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "model_reasoning_effort",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "temperature",
    "tool_choice",
    "top_k",
    "top_p",
}
"""Settings that take effect only where a request to the provider holds them."""
_TRUE = {"true", "yes", "on", "enabled", "1"}
_FALSE = {"false", "no", "off", "disabled", "0"}
_WORDS = {"claimed": "claimed", "configured": "configured", "sent": "named by the agent's own record"}
_MOST = 5
_SAID_MANY_WAYS = "Read the places. What counts is what was on the wire; a file that says otherwise is wrong, or was "


def _value(seen: SettingSeen) -> str | None:
    """A value in one spelling."""
    return None if seen.value is None else _plain(seen.value)


@lru_cache(maxsize=1024)
def _plain(value: str) -> str:
    plain = value.strip().casefold()
    if plain in _TRUE - {"1"} or plain in _FALSE - {"0"}:
        return "true" if plain in _TRUE else "false"
    try:
        return f"{float(plain):g}"
    except ValueError:
        return plain


def _same(one: str, other: str) -> bool:
    """Whether two values are one; 1 and 0 may stand for true and false."""
    pair = {one, other}
    return one == other or pair == {"1", "true"} or pair == {"0", "false"}


def _groups(subject: Subject) -> Iterator[tuple[str, str, list[SettingSeen]]]:
    """Everything that an archive shows of each setting."""
    for archive, settings in subject.settings.items():
        keys: dict[str, list[SettingSeen]] = {}
        for seen in settings:
            if seen.key.casefold() not in _VARIED:
                keys.setdefault(seen.key.casefold(), []).append(seen)
        for key, group in keys.items():
            yield archive, key, group


def _place(archive: str, seen: SettingSeen) -> Place:
    return place(archive, seen.file, line=seen.line, path=seen.path, text=seen.excerpt)


def _said(key: str, group: list[SettingSeen]) -> str:
    """Every value of a setting with the places that have it."""
    by_value: dict[tuple[str, str], list[str]] = {}
    for seen in group:
        value = "denied" if seen.denied else _value(seen)
        if value is not None:
            spot = seen.file if seen.line is None else f"{seen.file}:{seen.line}"
            by_value.setdefault((seen.how, value), []).append(spot)
    parts = []
    for (how, value), spots in by_value.items():
        more = f" and {len(spots) - _MOST} more" if len(spots) > _MOST else ""
        parts.append(f"{_WORDS[how]} {value} ({', '.join(spots[:_MOST])}{more})")
    return f"{key}: {'; '.join(parts)}"


def _concerned(subject: Subject, archive: str, group: list[SettingSeen]) -> tuple[Entry, ...]:
    ids = {seen.attempt for seen in group if seen.attempt}
    found = (e for e in subject.entries if e.attempt.archive == archive and e.attempt.id in ids) if ids else ()
    return tuple(found)


def _found(subject: Subject, archive: str, key: str, group: list[SettingSeen]) -> Found:
    places = tuple(_place(archive, seen) for seen in group[:MOST_PLACES])
    return Found(_said(key, group), _concerned(subject, archive, group), places, archive)


@rule(
    "setting-contradicted",
    "error",
    "A setting is claimed one way and configured another",
    why="A conclusion was drawn from a setting that was not in force: what it is said to have mended was mended by "
    "something else, or not at all.",
    do=_SAID_MANY_WAYS + "never read. Withdraw what was concluded from it.",
)
def contradicted(subject: Subject) -> Iterator[Found | Unseen]:
    """A claim beside files that have another value; a configuration beside the record of the attempt made with it."""
    for archive, key, group in _groups(subject):
        claims = _by_value(seen for seen in group if seen.how == "claimed")
        facts = _by_value(seen for seen in group if seen.how != "claimed")
        pairs = [(claim, fact) for claim in claims for fact in facts if not _same(claim, fact)]
        sides = [claims[value] for value in dict.fromkeys(claim for claim, _ in pairs)]
        sides += [facts[value] for value in dict.fromkeys(fact for _, fact in pairs)]
        # the first place of each value before the others: only so many are kept
        wrong = [side[0] for side in sides] + [seen for side in sides for seen in side[1:]]
        wrong = wrong or list({id(one): one for one in _of_attempts(group)}.values())
        if wrong:
            yield _found(subject, archive, key, wrong)


def _by_value(group: Iterable[SettingSeen]) -> dict[str, list[SettingSeen]]:
    """By their values, in one spelling; those without one left out."""
    found: dict[str, list[SettingSeen]] = {}
    for seen in group:
        value = _value(seen)
        if value is not None:
            found.setdefault(value, []).append(seen)
    return found


def _of_attempts(group: list[SettingSeen]) -> Iterator[SettingSeen]:
    """What the record of a run says otherwise than every configuration of that attempt."""
    configured: dict[str | None, list[SettingSeen]] = {}
    for seen in group:
        if seen.how == "configured" and _value(seen) is not None:
            configured.setdefault(seen.attempt, []).append(seen)
    for seen in group if configured else ():
        of_it = configured.get(seen.attempt) if seen.how == "sent" and seen.attempt else None
        value = _value(seen)
        if of_it and value is not None and not any(_same(value, _value(one) or "") for one in of_it):
            yield from (*of_it, seen)


@rule(
    "setting-claims-disagree",
    "warning",
    "What is claimed of a setting contradicts itself",
    why="Of two sentences that exclude each other, one is wrong; readers quote the one they need.",
    do=_SAID_MANY_WAYS + "true at another time. Say of which runs it was true.",
)
def claims_disagree(subject: Subject) -> Iterator[Found | Unseen]:
    """Two claims of one setting with different values, or one that denies what another says."""
    for archive, key, group in _groups(subject):
        claims = [seen for seen in group if seen.how == "claimed" and (seen.denied or _value(seen) is not None)]
        voices = {"denied" if seen.denied else _value(seen) for seen in claims}
        if len(voices) > 1:
            yield _found(subject, archive, key, claims)


@rule(
    "setting-unconfirmed",
    "note",
    "Nothing shows that a setting was in force",
    why="A parameter of the model that was configured, or claimed, need not have been sent: agents drop what they do "
    "not know. Without the wire nobody can tell.",
    do="Do not conclude anything from it. Run the agent through the gateway (`speedproof run`), which records it.",
)
def unconfirmed(subject: Subject) -> Iterator[Found | Unseen]:
    """Parameters of requests that no record of a run names."""
    for archive, key, group in _groups(subject):
        if key in _ON_THE_WIRE and not any(seen.how == "sent" for seen in group):
            yield _found(subject, archive, key, group)
    without = [archive for archive, settings in subject.settings.items() if not settings]
    if without:
        yield Unseen(f"no file of {', '.join(without[:_MOST])} shows a setting")


@rule(
    "setting-never-asked",
    "error",
    "A configured setting never reached the wire",
    why="Our own agent was configured with a value that none of its requests had. What was measured is the default.",
    do="Pin it (`speedproof run --pin NAME=VALUE`), or report it to the agent's authors.",
)
def never_asked(subject: Subject) -> Iterator[Found | Unseen]:
    """Configured, asked and sent in our own runs."""
    by_run: dict[str, list[Row]] = {}
    for run, row in subject.rows:
        by_run.setdefault(run, []).append(row)
    for run, rows in by_run.items():
        for line in parameter_lines(rows):
            if line.never_asked:
                asked = ", ".join(canonical_json(seen.value) for seen in line.asked[:_MOST])
                values = ", ".join(canonical_json(each.value) for each in line.configured[:_MOST])
                said = f"{line.name} of {line.agent}: configured {values}, asked {asked}"
                entries = tuple(e for name in line.never_asked for e in subject.collection.by_name.get(name, ()))
                places = tuple(place(run, each.file, line=each.line, text=each.excerpt) for each in line.evidence)
                yield Found(said, entries, places, run)
    if subject.archives and not subject.runs:
        yield Unseen("archives do not hold what was on the wire", len(subject.foreign))


RULES = (contradicted, claims_disagree, unconfirmed, never_asked)
