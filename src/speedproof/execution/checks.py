"""What was looked at before a run, what of it is broken, and which items that takes with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from speedproof.errors import SpeedproofError
from speedproof.execution.finding import Finding
from speedproof.journal import ItemPlan

Told = Callable[[str], None]


@dataclass(frozen=True)
class Exclusion:
    """Why nothing is spent on an item."""

    why: str
    """What is broken, in one sentence."""
    hint: str
    """The next command to run; empty when there is none."""


class Checks:
    """Each check stands for itself. What it is about is named as findings and items name it: by `of_task` and so on."""

    def __init__(self, told: Told, *, strict: bool = False) -> None:
        """`strict`: the first thing that is broken is raised."""
        self.told = told
        self.strict = strict
        self.findings: list[Finding] = []
        self.notes: list[tuple[str, str]] = []
        """What lowers what can be concluded without keeping anything from being attempted: (of what, what)."""
        self._broken: dict[str, SpeedproofError] = {}

    def look(self, what: str, check: Callable[[], str | None]) -> None:
        """Carry out one check; what it says is a finding. Raises what it raises when strict."""
        try:
            said = check()
        except SpeedproofError as error:
            self.fail(what, error)
            return
        if said is not None:
            self.well(what, said)

    def well(self, what: str, said: str) -> None:
        """Take down that something works."""
        self.findings.append(Finding(what=what, ok=True, said=said))

    def fail(self, what: str, error: SpeedproofError) -> None:
        """Take down that something is broken, and say so. Raises the error when strict."""
        if self.strict:
            raise error
        said = error.what.partition("\n")[0].rstrip(":")
        self.told(said if said.startswith(what) else f"{what}: {said}")
        self._broken.setdefault(what, error)
        self.findings.append(Finding(what=what, ok=False, said=error.what, hint=error.hint))

    def note(self, what: str, text: str) -> None:
        """Say what is missing."""
        self.notes.append((what, text))
        self.told(f"{what}: {text}")

    def sound(self, *what: str) -> bool:
        """Whether none of these was found broken."""
        return self._broken.keys().isdisjoint(what)

    def excluded(self, item: ItemPlan) -> Exclusion | None:
        """Why nothing is to be spent on an item; None when nothing speaks against it."""
        error = self._first([item])
        return None if error is None else Exclusion(error.what, error.hint)

    def left(self, items: Sequence[ItemPlan]) -> list[ItemPlan]:
        """The items that nothing speaks against. Raises the first error when there were some and none is left."""
        found = [item for item in items if self.sound(*_parts(item))]
        if items and not found and (error := self._first(items)) is not None:
            raise error
        return found

    def _first(self, items: Sequence[ItemPlan]) -> SpeedproofError | None:
        parts = {part for item in items for part in _parts(item)}
        return next((error for what, error in self._broken.items() if what in parts), None)


def of_task(task: str) -> str:
    """A task, as findings name it."""
    return f"task {task}"


def of_agent(agent: str) -> str:
    """An agent, as findings name it."""
    return f"agent {agent}"


def of_model(model: str) -> str:
    """A model, as findings name it."""
    return f"model {model}"


def of_lane(agent: str, model: str | None) -> str:
    """An agent with a model, as findings name it; null: our own script."""
    return f"{agent} · {model or 'our script'}"


def of_sight(agent: str, task: str) -> str:
    """What an agent can see on a task, as findings name it."""
    return f"{agent} on {task}"


def _parts(item: ItemPlan) -> list[str]:
    """What an item needs to be well."""
    parts = [of_task(item.task), of_agent(item.agent), of_sight(item.agent, item.task)]
    return parts if item.model is None else [*parts, of_model(item.model), of_lane(item.agent, item.model)]
