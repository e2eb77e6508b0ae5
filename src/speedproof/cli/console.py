"""What commands print on: as wide as the terminal; elsewhere as wide as a table needs."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from speedproof.execution.finding import Finding

_WIDE = 160


def console(width: int = _WIDE) -> Console:
    """Standard output, `width` characters wide where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else width)


def findings_table(findings: "Iterable[Finding]", *, header: bool) -> Table:
    """What was looked at: whether it is well, what was found, and what to do."""
    table = Table("", "what", "finding", "next", box=None, header_style="dim", show_header=header)
    for column in table.columns[1:]:
        column.overflow = "fold"
    for finding in findings:
        mark = Text("ok", "green") if finding.ok else Text("bad", "red")
        table.add_row(mark, Text(finding.what), Text(finding.said), Text(finding.hint))
    return table
