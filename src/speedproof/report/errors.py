"""What went wrong in many attempts, in the terminal: a table of groups, then what is behind each."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from speedproof.analysis.errors import By, CallGroup, ErrorGroup, Errors
from speedproof.analysis.errors.records import Judging, Lost
from speedproof.report.tables import cell, new_table
from speedproof.report.text import count, one_line, plural, seconds, tokens, usd

_FIGURES = ("Attempts", "Items", "Commits", "Runs", "Success*", "Solved later*", "Steps", "Time", "Cost")
_CALLS = ("Calls", "Mentions", "Attempts", "Ended by it", "Completed", "Recorded success")
_FAULTS = {
    "infrastructure": "the infrastructure's fault",
    "model": "the model provider's fault",
    "agent": "the agent's fault",
    "task": "the task's fault",
    None: "faults of several",
}
_TRIED_AGAIN = {True: "may pass when tried again", False: "permanent", None: "partly transient"}


def print_errors(errors: Errors, console: Console, *, limit: int) -> None:
    """Print it, with at most `limit` groups, and as many within each. Whatever a stranger wrote is shown as text."""
    for line in _summary(errors):
        console.print(line)
    judging = errors.judging
    if errors.groups:
        _section(f"Failures that ended an attempt, by {errors.by}", errors.groups, console, limit)
    if errors.completed:
        _section("Completed, with nothing to judge or recorded as a failure", errors.completed, console, limit)
    if judging.groups:
        _section(f"Patches that could not be judged, by {errors.by}", judging.groups, console, limit)
    if judging.controls:
        _section(
            f"Controls and given patches that could not be judged, by {errors.by}", judging.controls, console, limit
        )
    if errors.unread:
        console.print()
        console.print(Text("Records that cannot be read", style="bold"))
        for record in errors.unread[:limit]:
            console.print(Text(one_line(record, 400)))
        if len(errors.unread) > limit:
            console.print(Text(f"and {len(errors.unread) - limit} more: --limit, --json", style="dim"))
    if errors.calls or errors.unlisted_calls:
        console.print()
        console.print(_calls(errors.calls))
        if errors.unlisted_calls:
            calls = plural(errors.unlisted_calls, "failed call")
            console.print(Text(f"and {calls} more, which the records count and do not list", style="dim"))


def _summary(errors: Errors) -> Iterable[Text]:
    failed = sum(len(group.attempts) for group in errors.groups)
    looked = (
        f"{plural(errors.attempts, 'attempt')} of {plural(len(errors.archives), 'archive or run', 'archives or runs')}"
    )
    yield Text(f"{looked}: {failed:,} ended by a failure", style="bold")
    if failed:
        yield Text(f"they took {_took(errors.failed, failed)}")
    yield from _unjudged(errors.judging)
    told = errors.recorded_failures
    if told.attempts:
        found = len(told.without_text) - len(told.no_cause)
        sure = ", ".join(f"{number:,} {name}" for name, number in told.causes.items() if number)
        causes = f": a cause was found for {found:,} ({sure})" if found else ""
        yield Text(
            f"{len(told.attempts):,} recorded as failures, {len(told.without_text):,} without an error text{causes}"
        )


def _unjudged(judging: Judging) -> Iterable[Text]:
    attempts, controls = (sum(len(group.attempts) for group in part) for part in (judging.groups, judging.controls))
    ended = f" ({len(judging.ended):,} of them ended by a failure too)" if judging.ended else ""
    whose = [f"{plural(attempts, 'attempt')}{ended}"] if attempts else []
    whose += [plural(controls, "control or given patch", "controls or given patches")] if controls else []
    if whose:
        yield Text(f"{' and '.join(whose)} of {plural(len(judging.tasks), 'task')} could not be judged")


def _took(lost: Lost, attempts: int) -> str:
    parts = [
        (f"{count(lost.steps)} steps", lost.steps_unknown),
        (seconds(lost.wall_s), lost.wall_unknown),
        (tokens(lost.usage), lost.usage_unknown),
        (usd(lost.cost_usd), lost.cost_unknown),
    ]
    known = [text + (f" (unknown of {unknown:,})" if unknown else "") for text, unknown in parts if unknown < attempts]
    names = [
        name
        for name, (_, unknown) in zip(("steps", "time", "tokens", "cost"), parts, strict=True)
        if unknown >= attempts
    ]
    return "; ".join([*known, *([f"{', '.join(names)} unknown"] if names else [])])


def _section(title: str, groups: Sequence[ErrorGroup], console: Console, limit: int) -> None:
    console.print()
    console.print(_table(title, groups, limit))
    for group in groups[:limit]:
        for depth, line in _behind(group, limit):
            console.print(Padding(line, (0, 0, 0, 4 * depth), expand=False))


def _table(title: str, groups: Sequence[ErrorGroup], limit: int) -> Table:
    table = new_table(title, "Name", *_FIGURES, "First", "Last", right=frozenset(_FIGURES))
    for group in groups[:limit]:
        later, lost, attempts = group.made_up, group.lost, len(group.attempts)
        table.add_row(
            cell(_name(group)),
            cell(count(attempts)),
            cell(count(group.items)),
            cell(count(group.commits)),
            cell(count(group.runs)),
            cell(count(len(group.recorded_success))),
            cell(f"{len(later.recorded)} / {len(later.exit_and_patch)} / {len(later.confirmed)}"),
            cell(_part(count(lost.steps), lost.steps_unknown, attempts)),
            cell(_part(seconds(lost.wall_s), lost.wall_unknown, attempts)),
            cell(_part(usd(lost.cost_usd), lost.cost_unknown, attempts)),
            cell(_day(group.first)),
            cell(_day(group.last)),
        )
    if len(groups) > limit:
        table.add_row(cell(f"and {len(groups) - limit} more: --limit, --json"))
    table.caption = (
        "* recorded as a success all the same; the problem solved by a later attempt: as recorded / with exit code 0 "
        "and a patch / confirmed"
    )
    table.caption_justify = "left"
    return table


def _part(text: str, unknown: int, attempts: int) -> str:
    """A sum; with a mark where some are not in it, and only the mark where none is."""
    return "?" if unknown >= attempts else f"≥ {text}" if unknown else text


def _day(at: datetime | None) -> str:
    return "?" if at is None else f"{at:%Y-%m-%d}"


def _name(group: ErrorGroup, within: By | None = None) -> str:
    if group.name is None:
        return "unknown"
    if within == "class" and group.failure is not None:
        return group.name.removeprefix(f"{group.failure.value}: ")
    return group.name


def _behind(group: ErrorGroup, limit: int) -> Iterable[tuple[int, Text]]:
    head = Text(f"{len(group.attempts):,} × {one_line(_name(group))}", style="yellow")
    yield 0, head.append(f"  {_FAULTS.get(group.fault, '')}, {_TRIED_AGAIN[group.transient]}", style="dim")
    yield 1, Text(_took(group.lost, len(group.attempts)))
    sure = ", ".join(f"{number:,} {name}" for name, number in group.confidence.items() if number)
    calls = (
        f"; {plural(group.calls, 'failed call')}, which the logs mention {group.mentions:,} times"
        if group.calls
        else ""
    )
    yield 1, Text(f"diagnoses: {sure}{calls}")
    later = group.made_up
    yield (
        1,
        Text(
            f"solved by a later attempt: {len(later.recorded):,} as recorded, "
            f"{len(later.exit_and_patch):,} with exit code 0 and a patch, {len(later.confirmed):,} confirmed"
        ),
    )
    for step in group.next:
        yield 1, Text(f"next: {one_line(step)}")
    for one in group.groups[:limit] or (group,):
        if one is not group:
            yield 1, Text(f"{len(one.attempts):,} × {one_line(_name(one, group.by), 160)}")
        yield from ((2, line) for line in _seen(one))
    if len(group.groups) > limit:
        yield 1, Text(f"and {len(group.groups) - limit} more", style="dim")


def _seen(group: ErrorGroup) -> Iterable[Text]:
    example = group.example
    if not example.evidence:
        yield Text(f"{one_line(example.attempt)}: {one_line(example.message, 200)}", style="dim")
    for place in example.evidence[:1]:
        line = "" if place.line is None else f":{place.line}"
        yield Text(f"{one_line(place.file)}{line}: {one_line(place.excerpt, 200)}", style="dim")


def _calls(groups: Sequence[CallGroup]) -> Table:
    table = new_table("Failed model calls", "Class", *_CALLS, right=frozenset(_CALLS))
    for group in groups:
        success = f"{group.recorded_success_calls:,} in {len(group.recorded_success):,}"
        table.add_row(
            cell(group.failure.value),
            cell(count(group.calls)),
            cell(count(group.mentions)),
            cell(count(len(group.attempts))),
            cell(count(len(group.ended))),
            cell(count(len(group.completed))),
            cell(success),
        )
    return table
