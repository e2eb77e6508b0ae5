"""The report in the terminal: success rates, the funnel, one line an attempt, and what went wrong."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from speedproof.analysis import Rate, Row, RunReport
from speedproof.report.parameters import never_asked, seen, value
from speedproof.report.progress import (
    again_words,
    cause_of,
    counted,
    lane_ended,
    lane_spent,
    left_out,
    not_done,
    of_all,
    of_items,
    of_known,
    of_patches,
    repeated,
    warnings,
)
from speedproof.report.qualified import detectable, flaky, noise, standing
from speedproof.report.scores_terminal import scores_summary
from speedproof.report.signed import integrity, opinions
from speedproof.report.tables import cell, new_table
from speedproof.report.text import interval, model, moment, one_line, percent, plural, seconds, tokens, usd
from speedproof.report.verdict import headline, made_by, short

TONES = {"good": "green", "bad": "red", "warn": "yellow", "plain": "", "outside": "magenta"}
_WIDE = 150
_BAR = 24
_EXAMPLES = 12
_MOST = 40
"""So many entries of a table are shown; the other forms of the report hold all."""


def print_report(report: RunReport, console: Console) -> None:
    """Print the report. What agents wrote is shown as text: no markup, no control character reaches the terminal."""
    wide = console.width >= _WIDE
    console.print(Text(f"Run {one_line(report.run)} of {one_line(report.suite)}", style="bold"))
    console.print(Text(counted(report)))
    for warning in warnings(report):
        console.print(Text(warning, style="bold yellow"))
    for part in (
        *([] if of_patches(report) else [_rates(report), _funnel(report)]),
        _not_done(report),
        _lanes(report),
        _repeated(report),
        _attempts("Attempts", report, [r for r in report.rows if r.control is None], wide=wide),
        _attempts(
            "Patches" if of_patches(report) else "Controls",
            report,
            [r for r in report.rows if r.control is not None],
            wide=wide,
        ),
        _tasks(report),
        scores_summary(report.scores),
        _failures(report),
        _parameters(report),
        _spent(report),
    ):
        if part is not None:
            console.print()
            console.print(part)


def _rates(report: RunReport) -> RenderableType:
    table = new_table(
        "Success, by rule", "Rule", "First attempts", "After retries", "95 %", "Of all items", "Not counted"
    )
    for rate in report.rates:
        span = "" if rate.last.rate is None else f"{percent(rate.last.low)} to {percent(rate.last.high)}"
        table.add_row(
            cell(rate.rule, "bold" if rate.rule == "proven" else ""),
            cell(of_known(rate.first)),
            cell(of_known(rate.last), "bold" if rate.rule == "proven" else ""),
            cell(span),
            cell(of_all(rate.last)),
            cell(_not_counted(rate), "dim"),
        )
    return table


def _not_counted(rate: Rate) -> str:
    other = left_out(rate.first, unlike=rate.last)
    return ", ".join(left_out(rate.last)) + (f"; at first {', '.join(other)}" if other else "")


def _funnel(report: RunReport) -> RenderableType:
    total = len(report.funnel.items)
    controls = len(report.funnel.controls)
    title = f"Funnel of {plural(total, 'item')}" + (f", {plural(controls, 'control')} apart" if controls else "")
    for why, names in report.funnel.unqualified.items():
        title += f", {len(names)} apart on tasks that are unqualified ({why})"
    figures = ("At first", "After retries")
    table = new_table(title, "Rung", *figures, "", "Beside", right=frozenset(figures))
    for rung in report.funnel.rungs:
        came = rung.last
        reached = len(came.reached)
        notes = [f"{len(came.unknown)} unknown"] if came.unknown else []
        notes += [f"{len(came.beside)} more without an earlier rung"] if came.beside else []
        bar = "━" * round(_BAR * reached / total) if total else ""
        figures_of = cell(str(len(rung.first.reached))), cell(str(reached))
        table.add_row(cell(rung.name), *figures_of, Text(bar, style="cyan"), cell(", ".join(notes), "dim"))
    return table


def _not_done(report: RunReport) -> RenderableType | None:
    groups = not_done(report)
    if not groups:
        return None
    table = new_table("Not done", "State", "Items", "Why", "Goes on", right=frozenset({"Items"}))
    for group in groups[:_MOST]:
        table.add_row(cell(group.state, "yellow"), cell(str(len(group.names))), cell(group.why), cell(group.goes_on))
    return _cut(table, len(groups))


def _lanes(report: RunReport) -> RenderableType | None:
    if not report.lanes:
        return None
    lines: list[RenderableType] = [Text("Lanes that opened", style="bold")]
    for lane in report.lanes:
        lines.append(Text(f"{one_line(lane.lane)}  {moment(lane.at)}", style="yellow").append(f"  {lane_ended(lane)}"))
        lines.append(Text(f"    {lane.failure.value}: {one_line(lane.message)}"))
        lines.append(Text(f"    shown by {_names(lane.attempts)} ({lane_spent(lane)})", "dim"))
    return Group(*lines)


def _repeated(report: RunReport) -> RenderableType | None:
    groups = repeated(report)
    if not groups:
        return None
    table = new_table("Attempted more than once", "Attempt", "Task", "Run", "Why", "Cost", "Time")
    table.columns[0].no_wrap = True
    for rows in groups[:_MOST]:
        for row in rows:
            words = cell(headline(row).words if row is rows[-1] else (row.run or row.state))
            why = cell(cause_of(row))
            task = cell(row.task if row is rows[0] else "")
            table.add_row(
                cell(short(row.name), "dim"), task, words, why, cell(usd(row.cost_usd)), cell(seconds(row.wall_s))
            )
    return _cut(table, len(groups))


def _cut(table: Table, entries: int) -> Table:
    if entries > _MOST:
        table.add_row(cell(f"and {entries - _MOST:,} more: --json"))
    return table


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
    return ", ".join(short(n) for n in names[:_EXAMPLES]) + more


def _attempts(title: str, report: RunReport, rows: list[Row], *, wide: bool) -> RenderableType | None:
    if not rows:
        return None
    made_again = report.made_again
    states = ["Run", "Patch", "Correct", "Integrity"] if wide else ["Run, patch, correctness"]
    asked = any(row.opinions for row in rows)
    states += ["Model's opinion"] if asked else []
    table = new_table(title, "Attempt", "Task", "Agent", *(["Model"] if wide else []), "Verdict", "Speed", *states)
    table.columns[0].no_wrap = True
    table.columns[1].min_width = min(24, max(len(row.task) for row in rows))
    table.columns[5 if wide else 4].no_wrap = True
    for row in rows:
        head = headline(row)
        cells = [cell(short(row.name), "dim"), cell(row.task), cell(made_by(row.agent, row.control))]
        cells += [cell(model(row.model, "–"))] if wide else []
        again = " (made again)" if row.name in made_again else ""
        cells += [cell(head.words + again, TONES[head.tone]), _speed(row)]
        fields = [row.run or row.state, row.patch, row.correctness]
        if wide:
            cells += [cell(f or "–") for f in (*fields, integrity(row))]
        else:
            cells.append(cell(", ".join(f for f in fields if f)))
        cells += [cell(opinions(row.opinions) or "–")] if asked else []
        table.add_row(*cells)
    return table


def _speed(row: Row) -> Text:
    if row.speedup is None:
        return cell("–" if row.speed is None else row.speed)
    return cell(interval(row.speedup))


def _tasks(report: RunReport) -> RenderableType | None:
    if all(t.qualified is None for t in report.tasks):
        return None
    columns = ("Task", "Qualified", "Expert against base", "No-op against base", "Noise", "Detectable", "Flaky")
    proven = () if of_patches(report) else ("Proven",)
    table = new_table("Tasks", *columns, *proven)
    for task in report.tasks:
        table.add_row(
            cell(task.task),
            cell(standing(task), "yellow" if task.qualified is False else ""),
            cell(interval(task.expert)),
            cell(interval(task.noop)),
            cell(noise(task.noise)),
            cell(detectable(task.noise)),
            cell(flaky(task.flaky)),
            *(cell(f"{len(task.proven)} of {task.items}") for _ in proven),
        )
    return table


def _failures(report: RunReport) -> RenderableType | None:
    if not report.failures:
        return None
    lines: list[RenderableType] = [Text("What went wrong", style="bold")]
    for group in report.failures:
        head = Text(f"{len(group.attempts)} × {group.failure.value}", style="yellow")
        lines.append(head.append(f"  {_names(group.attempts)}{of_items(group)}"))
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
    again = total.again
    part = f"; of it {again_words(again)}" if again.attempts else ""
    if probed := [line for line in report.costs if line.by == "probes"]:
        part += f"; {plural(sum(line.calls for line in probed), 'call')} of it by probes before the run"
    return Text(f"Spent: {plural(total.calls, 'call')}; {tokens(total.usage)}{unknown}{cost}{part}")
