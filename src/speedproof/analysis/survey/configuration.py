"""Configuration: what is claimed of a setting, what files configure, and what was seen in use."""

from collections.abc import Iterable

from speedproof.analysis.survey.document import Cell, Column, Line, Quote, Section, Table
from speedproof.analysis.survey.part import Part
from speedproof.analysis.survey.phrases import named, say
from speedproof.journal.foreign_parts import SettingSeen

_HOW = ("claimed", "configured", "sent")
_VALUES = 6
"""So many different values of a setting are shown."""
_PLACES = 4
"""So many places of a contradicted setting are quoted, of each kind."""


def configuration_section(whole: Part) -> Section:
    """What the archives' files show of settings."""
    seen = whole.collection.settings
    keys = sorted({one.key for one in seen})
    columns = tuple(Column(title=title) for title in ("Setting", "Claimed", "Configured", "In use"))
    lines = tuple(_line(key, [one for one in seen if one.key == key]) for key in keys)
    words = [
        say(
            "A setting counts where it was in use: as the agent's own records say, or on the wire. What a report "
            "claims and what a file configures may never have taken effect."
        )
    ]
    if not keys:
        words.append(say("No file that was read shows a setting."))
    contradicted = contradictions(seen)
    if contradicted:
        words.append(
            (
                "What is claimed contradicts itself, or what files show, on: ",
                *named(contradicted, len(contradicted)),
                ".",
            )
        )
    return Section(
        id="configuration",
        title="Configuration",
        paragraphs=(tuple(words),),
        tables=(Table(title="Settings that files show", columns=columns, lines=lines),) if lines else (),
        quotes=tuple(quote for key in contradicted for quote in _quotes(one for one in seen if one.key == key)),
    )


def contradictions(seen: Iterable[SettingSeen]) -> list[str]:
    """The settings of which a report claims another value than a file configures or than was in use, or two of them."""
    found: dict[str, list[SettingSeen]] = {}
    for one in seen:
        found.setdefault(one.key, []).append(one)
    return [key for key in sorted(found) if _contradicted(found[key])]


def _line(key: str, seen: list[SettingSeen]) -> Line:
    return Line(cells=(Cell(value=key), *(Cell(value=_values(seen, how)) for how in _HOW)))


def _values(seen: Iterable[SettingSeen], how: str) -> str:
    of_kind = [one for one in seen if one.how == how]
    if not of_kind:
        return "unknown" if how == "sent" else "nowhere"
    found = dict.fromkeys(one.value if one.value is not None else "unclear" for one in of_kind)
    more = ", …" if len(found) > _VALUES else ""
    return ", ".join(list(found)[:_VALUES]) + more


def _contradicted(seen: list[SettingSeen]) -> bool:
    """Whether a report claims another value than a file configures or than was in use, or claims two of them."""
    claimed = {one.value for one in seen if one.how == "claimed" and one.value is not None}
    real = {one.value for one in seen if one.how != "claimed" and one.value is not None}
    return len(claimed) > 1 or bool(claimed and real and not claimed & real)


def _quotes(seen: Iterable[SettingSeen]) -> Iterable[Quote]:
    every = list(seen)
    for how in _HOW:
        of_kind = sorted((one for one in every if one.how == how), key=lambda one: one.value is None)
        for one in of_kind[:_PLACES]:
            yield Quote(file=one.file, line=one.line, text=one.excerpt, shows=how)
