"""An audit in the terminal: rule by rule, why it matters, what to do, and the first findings with their evidence."""

from rich.console import Console
from rich.text import Text

from speedproof.analysis.audit import RULES, SEVERITIES, Audit, Audited, Finding, Place
from speedproof.report.tables import cell, new_table
from speedproof.report.text import one_line, plural

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_FEW = 3
"""Findings of a rule that are shown among all rules."""
_MANY = 20
"""Findings that are shown of rules that were asked for by name."""
_PLACES = 2
_LONGEST = 400


def print_audit(audit: Audit, console: Console, *, named: bool = False) -> None:
    """Print it. `named`: the rules were asked for by name, so that more of their findings are shown."""
    _line(console, _head(audit))
    for each in audit.found:
        _print_rule(each, console, _MANY if named else _FEW)
    silent = ", ".join(each.rule for each in audit.silent if not each.unknown)
    if silent:
        _line(console, f"\nNothing found by: {silent}", limit=2_000)
    blind = [each for each in audit.silent if each.unknown]
    if blind:
        _line(console, "\nNothing found in what could be looked at:")
        for each in blind:
            _line(console, f"  {each.rule}: {_not_looked(each)}")


def _head(audit: Audit) -> str:
    names = ", ".join(audit.archives[:5]) + (f" and {len(audit.archives) - 5} more" if len(audit.archives) > 5 else "")
    attempts, copies = plural(audit.attempts, "attempt"), plural(audit.copies, "second copy", "second copies")
    counts = " · ".join(plural(audit.count(severity), severity) for severity in SEVERITIES)
    return f"Audit of {names}: {attempts}, {copies}; {plural(len(audit.rules), 'rule')}: {counts}"


def _print_rule(rule: Audited, console: Console, most: int) -> None:
    about = f" · {plural(rule.attempts, 'attempt')}" if rule.attempts else ""
    head = Text(f"\n{rule.severity:8}", _STYLES[rule.severity])
    head.append(f"{rule.rule}: {plural(rule.count, 'finding')}{about}", "bold")
    console.print(head)
    _line(console, f"        {rule.title}. {rule.why}", limit=_LONGEST)
    _line(console, f"        Do: {rule.do}", limit=_LONGEST)
    for finding in rule.findings[:most]:
        _print_finding(finding, console)
    if rule.count > most:
        _line(console, f"        … and {rule.count - most:,} more: --json has all", "dim")
    if rule.unknown:
        _line(console, f"        Not looked at: {_not_looked(rule)}", "dim")


def _print_finding(finding: Finding, console: Console) -> None:
    name = f"{finding.attempts[0]}: " if finding.attempts else ""
    _line(console, f"        - {name}{finding.message}", limit=_LONGEST)
    for spot in finding.evidence[:_PLACES]:
        _line(console, f"            {_place(spot)}", "dim", limit=260)


def _place(spot: Place) -> str:
    where = f":{spot.line}" if spot.line is not None else f" ({spot.path})" if spot.path else ""
    return f"{spot.file}{where}" + (f" {one_line(spot.excerpt, 100)}" if spot.excerpt else "")


def _not_looked(rule: Audited) -> str:
    return "; ".join(f"{plural(u.attempts, 'attempt')}: {u.why}" if u.attempts else u.why for u in rule.unknown)


def _line(console: Console, text: str, style: str = "", limit: int = 300) -> None:
    """A line of strangers' text: inert, its beginning kept, so that it stays aligned."""
    body = text.lstrip(" \n")
    lead = text[: len(text) - len(body)]
    console.print(Text(lead + one_line(body, limit), style), soft_wrap=True)


def print_rules(console: Console) -> None:
    """Print what the rules are."""
    table = new_table("", "Rule", "Severity", "Finds", "Do")
    table.columns[0].no_wrap = True
    for rule in sorted(RULES, key=lambda each: SEVERITIES.index(each.severity)):
        table.add_row(rule.id, Text(rule.severity, _STYLES[rule.severity]), cell(rule.title), cell(rule.do))
    console.print(table)
