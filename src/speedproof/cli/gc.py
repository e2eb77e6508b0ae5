"""speedproof gc"""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from speedproof.cli.console import console
from speedproof.cli.options import Json
from speedproof.errors import InputError
from speedproof.execution.housekeeping import UNUSED_DAYS, Holding, keep_house
from speedproof.report.text import clean
from speedproof.workspace.cache import Cache

_HOLDINGS = TypeAdapter(list[Holding])
_STYLES = {"left": "yellow", "unused": "yellow", "freed": "green"}


def gc(
    free: Annotated[
        bool, typer.Option("--free", help="Free what crashes left; open attempts are sealed first.")
    ] = False,
    caches: Annotated[
        bool,
        typer.Option("--caches", help="With --free: also entries of the cache that nobody asked for in a long time."),
    ] = False,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="What a long time is.")
    ] = UNUSED_DAYS,
    as_json: Json = False,
) -> None:
    """Show, and free, what is held beside the records: caches, and what crashes left. Never a record."""
    if caches and not free:
        raise InputError("--caches says what to free", hint="speedproof gc --free --caches")
    cache = Cache()
    found = keep_house(cache, free=free, caches=caches, unused=timedelta(days=older_than))
    if as_json:
        typer.echo(_HOLDINGS.dump_json(found, indent=1).decode())
        return
    output = console()
    output.print(f"cache: {cache.root}", soft_wrap=True)
    output.print(_kinds(found))
    single = [holding for holding in found if holding.used_at is None and holding.state != "in use"]
    if single:
        output.print(_single(single))
    output.print(_conclusion(found, free=free))


def _kinds(found: list[Holding]) -> Table:
    """What there is, by kind and state."""
    groups: dict[tuple[str, str], list[Holding]] = defaultdict(list)
    for holding in found:
        groups[holding.kind, holding.state].append(holding)
    table = Table("kind", "state", "number", "size", "last used", "what", box=None, header_style="dim")
    for column in ("number", "size"):
        next(c for c in table.columns if c.header == column).justify = "right"
    for (kind, state), held in sorted(groups.items()):
        sizes = [holding.bytes for holding in held if holding.bytes is not None]
        used = [holding.used_at for holding in held if holding.used_at is not None]
        same = {holding.why for holding in held}
        table.add_row(
            kind,
            Text(state, _STYLES.get(state, "")),
            f"{len(held):,}",
            decimal(sum(sizes)) if sizes else "",
            _day(max(used)) if used else "",
            Text(clean(same.pop()) if len(same) == 1 else ""),
        )
    return table


def _single(found: list[Holding]) -> Table:
    """What crashes left, one by one."""
    table = Table("state", "what", "why", box=None, header_style="dim")
    for column in table.columns:
        column.overflow = "fold"
    for holding in found:
        name = f"{holding.kind} {holding.name}"
        table.add_row(Text(holding.state, _STYLES.get(holding.state, "")), Text(clean(name)), Text(clean(holding.why)))
    return table


def _conclusion(found: list[Holding], *, free: bool) -> str:
    """What was freed, or what could be and how."""
    if free:
        freed = [holding for holding in found if holding.state == "freed"]
        return f"freed: {len(freed):,} things, {_size(freed)}"
    left = [holding for holding in found if holding.state == "left"]
    unused = [holding for holding in found if holding.state == "unused"]
    waiting = sum(holding.kind == "attempt" and holding.state == "kept" for holding in found)
    lines = []
    if waiting:
        lines.append(f"open attempts: {waiting:,}; `speedproof resume` seals them, and so does `speedproof gc --free`")
    if left:
        lines.append(f"left by crashes: {len(left):,} things, {_size(left)}; `speedproof gc --free` frees them")
    if unused:
        lines.append(f"unused: {len(unused):,} entries, {_size(unused)}; `speedproof gc --free --caches` frees them")
    return "\n".join(lines) or "nothing is left by crashes, and nothing is long unused"


def _size(found: list[Holding]) -> str:
    return decimal(sum(holding.bytes or 0 for holding in found))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
