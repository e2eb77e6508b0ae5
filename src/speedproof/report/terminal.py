"""The report in the terminal: success rates, the funnel, one line an attempt, and what went wrong."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from speedproof.analysis import Row, RunReport
from speedproof.report.parameters import never_asked, seen, value
from speedproof.report.text import interval, model, one_line, percent, plural, tokens, usd
from speedproof.report.verdict import headline, short

TONES = {"good": "green", "bad": "red", "warn": "yellow", "plain": "", "outside": "magenta"}
_WIDE = 150
_BAR = 24
_EXAMPLES = 12


def print_report(report: RunReport, console: Console) -> None:
    """Print the report. What agents wrote is shown as text: no markup, no control character reaches the terminal."""
    wide = console.width >= _WIDE
    console.print(Text(f"Run {one_line(report.run)} of {one_line(report.suite)}", style="bold"))
    for part in (
        _rates(report),
        _funnel(report),
        _attempts("Attempts", [r for r in report.rows if r.control is None], wide=wide),
        _attempts("Controls", [r for r in report.rows if r.control is not None], wide=wide),
        _tasks(report),
        _failures(report),
        _parameters(report),
        _spent(report),
    ):
        if part is not None:
            console.print()
            console.print(part)


def new_table(title: str, *columns: str, right: frozenset[str] = frozenset()) -> Table:
    """An empty table with these columns, those in `right` set flush right."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def cell(text: str, style: str = "") -> Text:
    """Text for a table: on one line, inert, cut."""
    return Text(one_line(text, 160), style=style)


def _rates(report: RunReport) -> RenderableType:
    table = new_table("Success, by rule", "Rule", "Attempts", "Rate", "95 %", "Not counted", right=frozenset({"Rate"}))
    for rate in report.rates:
        known = len(rate.reached) + len(rate.missed)
        left = [f"{len(v)} {k}" for k, v in rate.left_out.items()]
        left += [f"{len(rate.unknown)} unknown"] if rate.unknown else []
        table.add_row(
            cell(rate.rule, "bold" if rate.rule == "proven" else ""),
            cell(f"{len(rate.reached)} of {known}"),
            cell("–" if rate.rate is None else percent(rate.rate)),
            cell("" if rate.rate is None else f"{percent(rate.low)} to {percent(rate.high)}"),
            cell(", ".join(left), "dim"),
        )
    return table


def _funnel(report: RunReport) -> RenderableType:
    total = len(report.funnel.attempts)
    controls = len(report.funnel.controls)
    title = f"Funnel of {plural(total, 'attempt')}" + (f", {plural(controls, 'control')} apart" if controls else "")
    table = new_table(title, "Rung", "Reached", "", "Beside", right=frozenset({"Reached"}))
    for rung in report.funnel.rungs:
        reached = len(rung.reached)
        notes = [f"{len(rung.unknown)} unknown"] if rung.unknown else []
        notes += [f"{len(rung.beside)} more without an earlier rung"] if rung.beside else []
        bar = "━" * round(_BAR * reached / total) if total else ""
        table.add_row(cell(rung.name), cell(str(reached)), Text(bar, style="cyan"), cell(", ".join(notes), "dim"))
    return table


def _attempts(title: str, rows: list[Row], *, wide: bool) -> RenderableType | None:
    if not rows:
        return None
    states = ["Run", "Patch", "Correct", "Integrity"] if wide else ["Run, patch, correctness"]
    table = new_table(title, "Attempt", "Task", "Agent", *(["Model"] if wide else []), "Verdict", "Speed", *states)
    table.columns[0].no_wrap = True
    table.columns[1].min_width = min(24, max(len(row.task) for row in rows))
    table.columns[5 if wide else 4].no_wrap = True
    for row in rows:
        head = headline(row)
        agent = f"{row.agent} ({row.control})" if row.control else row.agent
        cells = [cell(short(row.name), "dim"), cell(row.task), cell(agent)]
        cells += [cell(model(row.model, "–"))] if wide else []
        cells += [cell(head.words, TONES[head.tone]), _speed(row)]
        fields = [row.run or row.state, row.patch, row.correctness]
        if wide:
            cells += [cell(f or "–") for f in (*fields, row.integrity)]
        else:
            cells.append(cell(", ".join(f for f in fields if f)))
        table.add_row(*cells)
    return table


def _speed(row: Row) -> Text:
    if row.speedup is None:
        return cell("–" if row.speed is None else row.speed)
    return cell(interval(row.speedup))


def _tasks(report: RunReport) -> RenderableType | None:
    if not any(t.expert for t in report.tasks):
        return None
    table = new_table("Tasks", "Task", "Expert against base", "No-op against base", "Proven")
    for task in report.tasks:
        note = " (cannot prove anything)" if task.provable is False else ""
        table.add_row(
            cell(task.task),
            cell(interval(task.expert) + note),
            cell(interval(task.noop)),
            cell(str(len(task.proven))),
        )
    return table


def _failures(report: RunReport) -> RenderableType | None:
    if not report.failures:
        return None
    lines: list[RenderableType] = [Text("What went wrong", style="bold")]
    for group in report.failures:
        names = ", ".join(short(n) for n in group.attempts[:_EXAMPLES])
        more = f" and {len(group.attempts) - _EXAMPLES} more" if len(group.attempts) > _EXAMPLES else ""
        lines.append(Text(f"{len(group.attempts)} × {group.failure.value}", style="yellow").append(f"  {names}{more}"))
        lines.append(Text(f"    {one_line(group.message)}"))
        lines += [
            Text(f"    {one_line(e.file)}{'' if e.line is None else f':{e.line}'}: {one_line(e.excerpt, 120)}", "dim")
            for e in group.evidence[:1]
        ]
        lines.append(Text(f"    next: {group.next}"))
    return Group(*lines)


def _parameters(report: RunReport) -> RenderableType | None:
    if not report.parameters:
        return None
    table = new_table("Parameters on the wire", "Agent", "Model", "Parameter", "Configured", "Asked", "Sent")
    for line in report.parameters:
        wanted = ", ".join(value(c.value) for c in line.configured) or "–"
        sent = seen(line.sent) + (" (pinned)" if line.pinned else "")
        asked = cell(seen(line.asked), "yellow" if line.never_asked else "")
        table.add_row(cell(line.agent), cell(model(line.model)), cell(line.name), cell(wanted), asked, cell(sent))
    findings = [
        Text(one_line(f"finding: {text}", 400), style="yellow") for p in report.parameters if (text := never_asked(p))
    ]
    return Group(table, *findings)


def _spent(report: RunReport) -> RenderableType:
    total = report.costs[0]
    if not total.calls and not total.calls_unknown_attempts:
        return Text("Spent: nothing, no model was called")
    unknown = f"; {plural(total.usage_unknown_calls, 'call')} without usage" if total.usage_unknown_calls else ""
    cost = f"; cost {usd(total.cost_usd)}" + (
        f", not known of {plural(total.cost_unknown_calls, 'call')}" if total.cost_unknown_calls else ""
    )
    return Text(f"Spent: {plural(total.calls, 'call')}; {tokens(total.usage)}{unknown}{cost}")
