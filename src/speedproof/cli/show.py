"""How a run goes on, for people: a live table on a terminal, plain lines elsewhere; always on stderr."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from speedproof.execution.engine import Audience
from speedproof.journal import ItemPlan, Status


class Show(Audience):
    """Shows a run's items and what is being done now."""

    def __init__(self, items: Sequence[ItemPlan], console: Console) -> None:
        self.items = items
        self.console = console
        self.live = console.is_terminal
        self.states: dict[str, Text] = {}
        self.now = "starting"
        self.since = time.monotonic()
        self._printed = ""

    def stage(self, what: str) -> None:
        self._say(what)

    def began(self, item: ItemPlan) -> None:
        self.states[item.id] = Text("running", style="cyan")
        self._say(f"{_name(item)}: running")

    def ended(self, item: ItemPlan, status: Status) -> None:
        state = Text(status.run, style="green" if status.run == "completed" else "yellow")
        state.append(f", patch {status.patch}, {status.calls} calls", style="dim")
        if status.diagnosis is not None:
            state.append(f", {status.diagnosis.failure}", style="dim")
        self.states[item.id] = state
        self._say(f"{_name(item)}: {state.plain}")

    def skipped(self, item: ItemPlan, why: str) -> None:
        self.states[item.id] = Text(f"not begun: {why}", style="yellow")
        self._say(f"{_name(item)}: not begun: {why}")

    def judging(self, task: str, what: str) -> None:
        for item in self.items:
            state = self.states.get(item.id)
            if item.task != task or state is None or state.plain.startswith("not begun"):
                continue
            if not state.plain.endswith("…"):
                self.states[item.id] = Text(f"{state.plain}; judging …", style=state.style)
        self._say(f"{task}: {what}")

    def __rich__(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("task", "agent", "model", "state"):
            table.add_column(heading, header_style="dim")
        for item in self.items[-40:]:
            state = self.states.get(item.id, Text("waiting", style="dim"))
            table.add_row(item.task, _agent(item), _model(item), state)
        seconds = time.monotonic() - self.since
        return Group(table, Spinner("dots", Text(f"{self.now}  ({seconds:.0f} s)", overflow="ellipsis")))

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


def _name(item: ItemPlan) -> str:
    return f"{item.task} · {_agent(item)} · {_model(item)}"


def _agent(item: ItemPlan) -> str:
    return item.agent if item.control is None else f"{item.agent}:{item.control.rsplit('/', 1)[-1]}"


def _model(item: ItemPlan) -> str:
    return "–" if item.model is None else item.model.rsplit("/", 1)[-1]


@contextmanager
def showing(items: Sequence[ItemPlan]) -> Iterator[Show]:
    """Show a run while the block lasts."""
    console = Console(stderr=True, highlight=False)
    show = Show(items, console)
    if not show.live:
        yield show
        return
    with Live(show, console=console, refresh_per_second=8, transient=True):
        yield show
