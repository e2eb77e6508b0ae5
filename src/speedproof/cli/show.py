"""How a run goes on, for people: a live table on a terminal, plain lines elsewhere; always on stderr."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from speedproof.cli.progress import lane_name, lanes_table, line, moment, open_table, summary
from speedproof.execution.retrying import Retries
from speedproof.execution.tally import Tally
from speedproof.journal import ItemPlan
from speedproof.journal.base import now
from speedproof.journal.events import (
    AttemptBegan,
    AttemptSealed,
    Event,
    ItemExcluded,
    LaneClosed,
    LaneOpened,
    RetryPlanned,
    RunLimit,
    Stopped,
)
from speedproof.journal.pace import ProviderDown
from speedproof.report.text import one_line

MOST_ROWS = 15
"""Items that are shown one a row; of more, lanes and running attempts are."""
_SUMMARY_S = 60.0


class Show:
    """Shows a run's items and what is being done now: the audience of the engine and of the judge."""

    def __init__(self, items: Sequence[ItemPlan], console: Console, earlier: Iterable[Event] = ()) -> None:
        """`earlier`: what processes before this one recorded of the run."""
        self.items = {item.id: item for item in items}
        self.console = console
        self.live = console.is_terminal
        self.tally = Tally(items, Retries())
        self.states: dict[str, Text] = {}
        self.now = "starting"
        self.since = time.monotonic()
        self._printed = ""
        self._summed = time.monotonic()
        self._telling = threading.Lock()
        """The live display draws in a thread of its own."""
        for event in earlier:
            self.tally.apply(event)
            self._took(event)
        self._before = self.tally.session

    def stage(self, what: str) -> None:
        """Something long began."""
        self._say(what)

    def event(self, event: Event) -> None:
        """Something was recorded in the scheduler's log."""
        with self._telling:
            self.tally.apply(event)
            said = self._took(event)
        if said is not None:
            self._say(said.plain)
            if self.live and isinstance(event, LaneOpened | ProviderDown):
                self.console.print(said, soft_wrap=True)  # stays above the table
        if isinstance(event, AttemptSealed) and not self.live:
            self._sum_up()

    def judging(self, task: str, what: str) -> None:
        """What judging is doing on a task."""
        with self._telling:
            for item in self.items.values():
                state = self.states.get(item.id)
                if item.task != task or state is None or not self.tally.schedule.items[item.id].sealed:
                    continue
                if not state.plain.endswith("…"):
                    self.states[item.id] = Text(f"{state.plain}; judging …", style=state.style)
        self._say(f"{task}: {what}")

    def __rich__(self) -> RenderableType:
        with self._telling:
            body = self._rows() if len(self.items) <= MOST_ROWS else self._lanes()
        seconds = time.monotonic() - self.since
        return Group(body, Spinner("dots", Text(f"{self.now}  ({seconds:.0f} s)", overflow="ellipsis")))

    def _rows(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("task", "lane", "state"):
            table.add_column(heading, header_style="dim")
        for item in self.items.values():
            state = self.states.get(item.id, Text("waiting", style="dim"))
            table.add_row(Text(item.task), Text(lane_name(item.lane)), state)
        return table

    def _lanes(self) -> RenderableType:
        begun = self.tally.session is not self._before
        progress = self.tally.progress(now(), phase=self.tally.phase(at_work=True) if begun else "preparing")
        running = [open_table("running", progress.running, progress.at)] if progress.running else []
        return Group(lanes_table(progress), *running, *summary(progress))

    def _took(self, event: Event) -> Text | None:
        """What to say of an event; the state of its item is set by the way."""
        match event:
            case AttemptBegan():
                again = f" (attempt {event.number})" if event.number > 1 else ""
                return self._state(event.item, Text(f"running{again}", style="cyan"))
            case AttemptSealed():
                state = Text(event.run, style="green" if event.run == "completed" else "yellow")
                state.append(f", patch {event.patch}, {event.calls} calls", style="dim")
                if event.failure is not None:
                    state.append(f", {event.failure}", style="dim")
                return self._state(event.item, state)
            case RetryPlanned():
                text = f"{event.failure} may pass: attempt {event.after + 1} at {moment(event.not_before)} or later"
                return self._state(event.item, Text(text, style="yellow"))
            case ItemExcluded():
                hint = f"; next: {one_line(event.hint)}" if event.hint else ""
                return self._state(event.item, Text(f"not begun: {one_line(event.why)}{hint}", style="yellow"))
            case RunLimit():
                text = f"not begun: the run's limit ({event.limit}) is used up"
                return self._state(event.item, Text(text, style="yellow"))
            case LaneOpened():
                until = "somebody resumes the run" if event.resets_at is None else moment(event.resets_at)
                shown = f" (shown by {', '.join(event.attempts)})" if event.attempts else ""
                what = f"{event.failure}: {one_line(event.message)}{shown}"
                return Text(f"{lane_name(event.lane)}: nothing more is spent until {until}: {what}", style="red")
            case LaneClosed():
                return Text(f"{lane_name(event.lane)}: goes on ({event.why})")
            case ProviderDown():
                until = "" if event.resets_at is None else f" until {moment(event.resets_at)}"
                what = f"{event.failure}: {one_line(event.message)}"
                return Text(f"{event.provider} serves no more calls{until}: {what}", style="red")
            case Stopped():
                how = "at once" if event.at_once else "by their grace; once more ends them at once"
                return Text(f"stopping ({event.by}): running attempts end {how}", style="yellow")
            case _:
                return None

    def _state(self, name: str, state: Text) -> Text | None:
        item = self.items.get(name)
        if item is None:
            return None
        self.states[name] = state
        return Text(f"{item.task} · {lane_name(item.lane)}: {state.plain}")

    def _say(self, what: str) -> None:
        line = " ".join(what.split())
        self.now, self.since = line, time.monotonic()
        if self.live:
            return
        # a block at a time is too much for a log
        key = line.split(": block ")[0]
        if key != self._printed:
            self.console.print(Text(line), soft_wrap=True)
            self._printed = key

    def _sum_up(self) -> None:
        """Of a long run, once a minute, how far it is."""
        if len(self.items) > MOST_ROWS and time.monotonic() - self._summed >= _SUMMARY_S:
            self._summed = time.monotonic()
            progress = self.tally.progress(now(), phase=self.tally.phase(at_work=True))
            for text in (Text(line(progress)), *summary(progress)):
                self.console.print(text, soft_wrap=True)


@contextmanager
def showing(items: Sequence[ItemPlan], earlier: Iterable[Event] = ()) -> Iterator[Show]:
    """Show a run while the block lasts. `earlier`: what processes before this one recorded of it."""
    console = Console(stderr=True, highlight=False)
    show = Show(items, console, earlier)
    if not show.live:
        yield show
        return
    with Live(show, console=console, refresh_per_second=4, transient=True):
        yield show
