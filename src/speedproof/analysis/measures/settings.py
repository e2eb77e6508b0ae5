"""What files of an archive show of a setting: configured, and sent."""

from typing import Literal

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.measure import Value, measure

_PLACES = 5
"""So many places are named where they contradict each other."""


@measure("text")
def parallel_tool_calls_configured(chosen: Collection) -> Value:
    """What configurations in the archive, or the harness's own records of one, set parallel_tool_calls to, where they
    agree."""
    return _setting(chosen, "parallel_tool_calls", "configured")


@measure("text")
def parallel_tool_calls_sent(chosen: Collection) -> Value:
    """What parallel_tool_calls was when the agents ran, by their own records, where they agree."""
    return _setting(chosen, "parallel_tool_calls", "sent")


def _setting(chosen: Collection, key: str, how: Literal["configured", "sent"]) -> Value:
    members = {e.attempt.id: e for e in chosen.entries}
    all_there_is = chosen.whole is None
    found = [s for s in chosen.settings if s.key == key and s.how == how and (all_there_is or s.attempt in members)]
    behind = tuple(members[one] for one in dict.fromkeys(s.attempt for s in found) if one in members)
    values = list(dict.fromkeys(s.value for s in found if s.value is not None))
    if not values:
        where = "configuration" if how == "configured" else "record of a run"
        return Value(None, behind, why=f"no {where} that was imported shows it")
    if len(values) > 1:
        places = ", ".join(f"{s.value} in {s.file}{f':{s.line}' if s.line else ''}" for s in found[:_PLACES])
        return Value(None, behind, why=f"the places contradict each other: {places}")
    return Value(values[0], behind)
