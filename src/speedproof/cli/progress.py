"""How far a run is, for people: the tables of `status`, `watch` and the live display, and the same in one line."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from speedproof.execution.progress_record import LaneProgress, OpenAttempt, Progress
from speedproof.execution.schedule import State
from speedproof.journal.status import RunStatus
from speedproof.report.text import count, model, one_line, plural, tokens, usd

_STATES: tuple[State, ...] = ("running", "waiting", "retrying", "held", "excluded")
_STYLES = {
    "preparing": "cyan",
    "attempting": "cyan",
    "stopping": "yellow",
    "judging": "cyan",
    "ended": "green",
    "failed": "red",
    "stopped": "yellow",
    "killed": "red",
}


def whole(progress: Progress) -> RenderableType:
    """Everything that there is to say of it."""
    parts: list[RenderableType] = [_head(progress), "", lanes_table(progress)]
    if progress.running:
        parts += ["", open_table("running", progress.running, progress.at)]
    if progress.left_open:
        parts += ["", open_table("left unsealed", progress.left_open, progress.at)]
    return Group(*parts, "", *summary(progress))


def lanes_table(progress: Progress) -> Table:
    """One row a lane: what is done, by outcome, and where the rest stands."""
    shown = [state for state in _STATES if state == "running" or progress.items[state]]
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("lane", header_style="dim", overflow="fold", min_width=16)
    for heading in ("done", *shown):
        table.add_column(heading, header_style="dim", justify="right", no_wrap=True)
    table.add_column("done, by outcome", header_style="dim")
    for lane in progress.lanes:
        table.add_row(Text(lane_name(lane.lane)), *_cells(lane.items, shown), Text(outcomes(lane.outcomes)))
    if len(progress.lanes) > 1:
        table.add_row(Text("all", style="bold"), *_cells(progress.items, shown), Text(outcomes(progress.outcomes)))
    return table


def open_table(heading: str, attempts: Iterable[OpenAttempt], at: datetime) -> Table:
    """Attempts that are not sealed, one a row, with how long ago they began."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in (heading, "task", "lane", "since", "calls"):
        table.add_column(column, header_style="dim", overflow="fold")
    for one in attempts:
        since = duration((at - one.since).total_seconds())
        name = f"{one.item}/{one.number:02d}"
        table.add_row(name, Text(one_line(one.task, 60)), Text(lane_name(one.lane)), since, count(one.calls))
    return table


def summary(progress: Progress) -> Iterator[Text]:
    """What was reached and spent, when the end is near, what went wrong, and what to do next."""
    yield Text(
        f"{progress.items['done']:,} of {plural(progress.total, 'item')} done; {plural(progress.attempts, 'attempt')}; "
        f"completed: {progress.completed_at_first:,} at the first attempt, {progress.completed:,} after retries"
    )
    yield Text(f"{_spent(progress)}; {duration(progress.elapsed_s)} of work")
    if progress.phase == "attempting":
        yield Text(f"projected end of the attempts: {_end(progress)}; judging comes after it")
    for lane in progress.lanes:
        yield from _opened(lane)
    for down in progress.down:
        until = "" if down.resets_at is None else f" until {moment(down.resets_at)}"
        yield Text(f"{down.provider} serves no more calls{until}: {down.failure}: {one_line(down.message)}", "red")
    if progress.limits:
        yield Text(f"used up: the run's limit of {', '.join(progress.limits)}", "red")
    for excluded in progress.excluded:
        hint = f"  next: {one_line(excluded.hint)}" if excluded.hint else ""
        yield Text(f"excluded: {plural(excluded.items, 'item')}: {one_line(excluded.why)}{hint}", "yellow")
    for reason in progress.reasons:
        yield Text(f"{reason.attempts} × {reason.failure}: {one_line(reason.message, 200)} ({reason.first})", "dim")
    if progress.damaged_lines:
        lines = plural(progress.damaged_lines, "damaged line")
        yield Text(f"{lines} in events.jsonl: attempts missing there were told from their own records", "yellow")
    if progress.damaged_attempts:
        yield Text(f"records that cannot be read: {', '.join(progress.damaged_attempts[:5])}", "red")
    if not progress.at_work:
        yield Text(f"next: {_next(progress)}")


def line(progress: Progress) -> str:
    """How far the run is, in one line; two that are equal say the same."""
    found = [f"{progress.phase}: {progress.items['done']} of {progress.total} done"]
    if progress.outcomes:
        found[0] += f" ({outcomes(progress.outcomes)})"
    found += [f"{progress.items[state]} {state}" for state in _STATES if progress.items[state]]
    found += [f"{lane_name(lane.lane)} is open: {lane.opened.failure}" for lane in progress.lanes if lane.opened]
    return ", ".join(found)


def outcomes(found: Mapping[RunStatus, int]) -> str:
    """Outcomes, the most frequent first."""
    return ", ".join(f"{number} {run}" for run, number in sorted(found.items(), key=lambda o: -o[1])) or "–"


def lane_name(lane: str) -> str:
    """A lane's agent and model; of paths in it the last part only."""
    agent, separator, name = lane.partition(" · ")
    kind, colon, path = agent.partition(":")
    agent = f"{kind}{colon}{path.rsplit('/', 1)[-1]}"
    return one_line(f"{agent}{separator}{model(name) if name else ''}", 80)


def duration(seconds: float) -> str:
    """Seconds as a clock shows them: 42 s, 3:07 min, 5:10 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60}:{whole % 60:02d} min" if whole < 3600 else f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def moment(at: datetime) -> str:
    """A time in UTC; its day too."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _head(progress: Progress) -> Text:
    suite = "" if progress.suite is None else f" · suite {one_line(progress.suite, 60)}"
    head = Text(f"run {progress.run or '…'}{suite} · ")
    head.append(progress.phase, style=_STYLES[progress.phase])
    if progress.pid is not None:
        head.append(f" · process {progress.pid}")
    if progress.jobs is not None and progress.at_work:
        head.append(f" · {plural(progress.jobs, 'job')}")
    return head


def _cells(items: Mapping[State, int], shown: Iterable[State]) -> list[str]:
    return [f"{items['done']}/{sum(items.values())}", *(str(items[state] or "–") for state in shown)]


def _end(progress: Progress) -> str:
    if progress.projected_end is None:
        return "cannot be told yet"
    left = (progress.projected_end - progress.at).total_seconds()
    return f"{moment(progress.projected_end)}, in {duration(left)}" if left > 0 else "any time now"


def _spent(progress: Progress) -> str:
    unseen = any(one.calls is None for one in progress.running)
    what = "cost of sealed attempts" if unseen else "cost so far"
    unknown = (
        f" and {plural(progress.cost_unknown_calls, 'call')} of unknown cost" if progress.cost_unknown_calls else ""
    )
    if not progress.calls:
        return f"{what}: no model calls"
    return f"{what}: {usd(progress.cost_usd)}{unknown}; {plural(progress.calls, 'call')}, {tokens(progress.usage)}"


def _opened(lane: LaneProgress) -> Iterator[Text]:
    if lane.opened is None:
        return
    opened = lane.opened
    go_on = "when somebody resumes the run" if opened.resets_at is None else moment(opened.resets_at)
    yield Text(f"{lane_name(lane.lane)} is open since {moment(opened.at)}: {opened.failure}", "red")
    yield Text(f"  {one_line(opened.message)}")
    yield Text(f"  shown by {', '.join(opened.attempts) or 'the provider itself'}; goes on: {go_on}")


def _next(progress: Progress) -> str:
    all_done = progress.phase == "ended" and progress.items["done"] == progress.total
    return f"speedproof {'report' if all_done else 'resume'} {progress.run}"
