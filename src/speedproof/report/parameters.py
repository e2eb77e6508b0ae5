"""Configured and pinned parameters in words: what was wanted, what the agent asked for, what was sent."""

import json
from collections.abc import Iterable
from typing import Any

from speedproof.analysis import ParameterLine
from speedproof.journal.status import Seen
from speedproof.report.text import plural


def seen(values: Iterable[Seen]) -> str:
    """Values of a parameter on the wire with their calls, such as `false in 12 calls, not there in 3`."""
    return ", ".join(f"{value(one.value)} in {plural(one.calls, 'call')}" for one in values) or "no call"


def value(given: Any) -> str:
    """A parameter's value as JSON; null means that it is not there."""
    return "not there" if given is None else json.dumps(given, ensure_ascii=False)


def never_asked(line: ParameterLine) -> str | None:
    """The finding on a parameter that was configured and never asked for, in a sentence; null when there is none."""
    if not line.never_asked:
        return None
    pin = "; the pin sets it" if line.pinned else "; --pin sets it on the wire"
    where = "".join(f" ({e.file}{'' if e.line is None else f':{e.line}'})" for e in line.evidence)
    wanted = ", ".join(value(c.value) for c in line.configured)
    return (
        f"{line.agent} is configured with {line.name} = {wanted}{where} and never asks for it in "
        f"{plural(len(line.never_asked), 'attempt')}{pin}"
    )
