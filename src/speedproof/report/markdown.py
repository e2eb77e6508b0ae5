"""The report as Markdown: tables that can be pasted into a paper's repository or a pull request."""

from collections.abc import Iterable

from speedproof.analysis import Row, RunReport
from speedproof.report.parameters import never_asked, seen, value
from speedproof.report.text import count, fenced, interval, markdown, model, percent, seconds, times, usd
from speedproof.report.verdict import headline, short


def to_markdown(report: RunReport) -> str:
    """The whole report as text; whatever an agent wrote is escaped or stands in a code block."""
    parts = [
        _head(report),
        _rates(report),
        _funnel(report),
        _attempts("Attempts", [r for r in report.rows if r.control is None]),
        _attempts("Controls", [r for r in report.rows if r.control is not None]),
        _tasks(report),
        _failures(report),
        _parameters(report),
        _costs(report),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    names = list(header)
    rows = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join(rows + [f"| {' | '.join(line)} |" for line in lines])


def _names(names: Iterable[str]) -> str:
    return ", ".join(markdown(short(n)) for n in names)


def _head(report: RunReport) -> str:
    m = report.method
    return (
        f"# Speedproof report: {markdown(report.run)}\n\n"
        f"Suite {markdown(report.suite)}, begun {report.created_at:%Y-%m-%d %H:%M} UTC, Speedproof "
        f"{markdown(report.speedproof)}, {count(report.host.cpus)} CPUs "
        f"({markdown(report.host.cpu or 'model unknown')}).\n\n"
        f"Method declared beforehand: {markdown(m.name)} {m.version}, α = {m.alpha:g}, faster needs more than "
        f"{times(1 + m.threshold)}, same lies within ±{m.margin * 100:g} %, at most {m.looks[-1]} blocks."
    )


def _rates(report: RunReport) -> str:
    lines = []
    for rate in report.rates:
        left = [f"{len(v)} {k}: {_names(v)}" for k, v in rate.left_out.items()]
        left += [f"{len(rate.unknown)} unknown: {_names(rate.unknown)}"] if rate.unknown else []
        known = len(rate.reached) + len(rate.missed)
        span = "–" if rate.rate is None else f"{percent(rate.rate)} ({percent(rate.low)} to {percent(rate.high)})"
        lines.append([f"`{rate.rule}`", rate.meaning, f"{len(rate.reached)} of {known}", span, "; ".join(left)])
    return "## Success, by rule\n\n" + _table(
        ["Rule", "Meaning", "Attempts", "Rate (95 % Wilson)", "Not counted"], lines
    )


def _funnel(report: RunReport) -> str:
    f = report.funnel
    lines = [
        [r.name, r.meaning, str(len(r.reached)), _names(r.missed), _names(r.unknown), _names(r.beside)] for r in f.rungs
    ]
    apart = f" Controls stand apart: {_names(f.controls)}." if f.controls else ""
    return f"## Funnel\n\nOf {len(f.attempts)} attempts.{apart}\n\n" + _table(
        ["Rung", "Meaning", "Reached", "Lost here", "Unknown here", "Beside: without an earlier rung"], lines
    )


def _attempts(title: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    lines = []
    for row in rows:
        head = headline(row)
        lines.append(
            [
                markdown(short(row.name)),
                markdown(row.task),
                markdown(f"{row.agent} ({row.control})" if row.control else row.agent),
                markdown(model(row.model, "–")),
                markdown(row.run or row.state),
                row.patch or "?",
                row.correctness or "–",
                f"{row.speed or '–'} {markdown(interval(row.speedup)) if row.speedup else ''}".strip(),
                row.integrity or "–",
                f"**{markdown(head.words)}**" if row.proven else markdown(head.words),
                markdown(head.why, 200),
            ]
        )
    header = [
        "Attempt",
        "Task",
        "Agent",
        "Model",
        "Run",
        "Patch",
        "Correctness",
        "Speed",
        "Integrity",
        "Verdict",
        "Why",
    ]
    return f"## {title}\n\n" + _table(header, lines)


def _tasks(report: RunReport) -> str:
    lines = [
        [
            markdown(t.task),
            markdown(interval(t.expert)),
            markdown(interval(t.noop)),
            "not measured" if t.provable is None else "yes" if t.provable else "no: the expert is not faster here",
            _names(t.proven) or "–",
        ]
        for t in report.tasks
    ]
    return "## Tasks\n\n" + _table(["Task", "Expert / base", "No-op / base", "Can prove", "Proven"], lines)


def _failures(report: RunReport) -> str:
    if not report.failures:
        return ""
    parts = ["## What went wrong"]
    for g in report.failures:
        kind = "transient" if g.transient else "permanent"
        parts.append(f"### {len(g.attempts)} × `{g.failure.value}` ({kind})")
        parts.append(f"{_names(g.attempts)}\n\n{markdown(g.message)}\n\nNext: {markdown(g.next)}")
        for e in g.evidence[:1]:
            place = e.file if e.line is None else f"{e.file}:{e.line}"
            parts.append(f"Seen in {markdown(short(g.example))}, {markdown(place)}:\n\n{fenced(e.excerpt[:400])}")
    return "\n\n".join(parts)


def _parameters(report: RunReport) -> str:
    if not report.parameters:
        return ""
    lines = [
        [
            markdown(p.agent),
            markdown(model(p.model)),
            markdown(p.name),
            markdown(", ".join(value(c.value) for c in p.configured) or "–"),
            markdown(seen(p.asked)),
            markdown(seen(p.sent) + (" (pinned)" if p.pinned else "")),
        ]
        for p in report.parameters
    ]
    table = _table(["Agent", "Model", "Parameter", "Configured", "Asked", "Sent"], lines)
    findings = [f"Finding: {markdown(text, 600)}." for p in report.parameters if (text := never_asked(p))]
    return "\n\n".join(["## Parameters on the wire", table, *findings])


def _costs(report: RunReport) -> str:
    lines = []
    for line in report.costs:
        u = line.usage
        kinds = [count(v) for v in (u.uncached_input, u.cache_read, u.cache_write, u.output, u.reasoning)]
        lines.append(
            [
                line.by,
                markdown(model(line.name)),
                str(len(line.attempts)),
                count(line.calls),
                *kinds,
                usd(line.cost_usd),
                f"{line.usage_unknown_calls} / {line.cost_unknown_calls}",
                seconds(line.wall_s),
            ]
        )
    header = ["By", "Name", "Attempts", "Calls", "Input", "Cache read", "Cache write", "Output", "of it reasoning"]
    return "## Costs and tokens\n\n" + _table([*header, "Cost", "Calls without usage / price", "Time"], lines)
