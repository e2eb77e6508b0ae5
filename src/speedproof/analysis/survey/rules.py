"""The success rules side by side, as tables: wherever one is shown, all are."""

from collections.abc import Iterable, Sequence

from speedproof.analysis.collection import Where
from speedproof.analysis.survey.document import Table
from speedproof.analysis.survey.making import Maker

RULES = ("recorded", "exit_and_patch", "strict", "confirmed", "proven")
"""The rules, from what is claimed to what is proven."""
COUNTS = (
    ("Attempts", "attempts"),
    ("Recorded", "recorded_successes"),
    ("Exit and patch", "exit_and_patch"),
    ("Strict", "strict"),
    ("Confirmed", "confirmed"),
    ("Proven", "proven"),
)
"""Columns that count attempts."""
RATES = (
    ("Recorded", "recorded_rate"),
    ("Exit and patch", "exit_and_patch_rate"),
    ("Strict", "strict_rate"),
    ("Confirmed", "confirmed_rate"),
    ("Proven", "proven_rate"),
)
"""Columns that give shares."""


def by_rule(
    maker: Maker, title: str, label: str | Sequence[str], lines: Iterable[tuple[str | Sequence[str], Where]]
) -> Table:
    """How many attempts succeed by each rule."""
    return maker.table(title, label, COUNTS, lines, note="A plus sign: of some attempts it is unknown.")
