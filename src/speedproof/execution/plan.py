"""The plan: suite × agents × models × samples, resolved into items before anything is spent."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from speedproof.agents.registry import COMMAND, parse_agent
from speedproof.errors import InputError
from speedproof.gateway.models import SCRIPTED
from speedproof.journal import ItemPlan
from speedproof.journal.base import digest_of
from speedproof.tasks.models import Task
from speedproof.tasks.suite import LoadedSuite, line_of, load_yaml


@dataclass(frozen=True)
class Lane:
    """An agent with its model: one way of attempting tasks."""

    agent: str
    """The agent as it is recorded: codex, codex@0.150.0, command:FILE.yaml."""
    model: str | None
    """Model as the user named it; null for the patch agent."""
    control: str | None = None
    """The patch agent's patch: expert, noop, a file, or a folder of TASK.diff files."""

    def patch_file(self, task: str) -> Path | None:
        """The file of a control that is neither expert nor noop. Raises InputError when it is missing."""
        if self.control in {None, "expert", "noop"}:
            return None
        path = Path(str(self.control))
        path = path / f"{task}.diff" if path.is_dir() else path
        if not path.is_file():
            raise InputError(
                "the patch does not exist", file=path, hint="patch:expert, patch:noop, patch:FILE or a folder"
            )
        return path

    def identity(self, task: str) -> list[str | None]:
        """What makes this lane's attempts on a task what they are: files count by content, not by name."""
        control, model = self.control, self.model
        file = self.patch_file(task)
        if file is not None:
            control = hashlib.sha256(file.read_bytes()).hexdigest()
        if model is not None:
            model = _by_content(model, SCRIPTED, "the script does not exist", "--model scripted:FILE.yaml")
        missing = "the agent's template does not exist"
        return [_by_content(self.agent, COMMAND, missing, "--agent command:FILE.yaml"), control, model]


def _by_content(name: str, kind: str, missing: str, hint: str) -> str:
    """KIND:FILE with the digest of the file's content in place of the file; any other name as it is."""
    if not name.startswith(f"{kind}:"):
        return name
    file = Path(name.removeprefix(f"{kind}:"))
    if not file.is_file():
        raise InputError(missing, file=file, hint=hint)
    return f"{kind}:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def lanes_of(agents: Sequence[str], models: Sequence[str]) -> list[Lane]:
    """Every agent with every model; the patch agent takes none.

    Raises InputError for an unknown agent, or an agent that needs a model where none is given.
    """
    lanes: list[Lane] = []
    for spec in agents:
        name, control = parse_agent(spec)
        if name == "patch":
            lanes.append(Lane(name, None, control))
        elif not models:
            raise InputError(
                f"the agent {name} needs a model", hint="--model openai/gpt-5 or --model scripted:FILE.yaml"
            )
        else:
            lanes += [Lane(name, model) for model in models]
    return lanes


def chosen_tasks(loaded: LoadedSuite, names: Sequence[str]) -> list[Task]:
    """The named tasks, or all. Raises InputError for an unknown name."""
    return [loaded.task(name) for name in names] if names else list(loaded.suite.tasks)


def plan_items(
    loaded: LoadedSuite, tasks: Sequence[Task], lanes: Sequence[Lane], samples: int = 1
) -> tuple[ItemPlan, ...]:
    """The items, in order. Their ids depend on content alone. Raises InputError when two are the same."""
    items: list[ItemPlan] = []
    for task in tasks:
        digest = loaded.task_digest(task)
        for lane in lanes:
            identity = lane.identity(task.name)
            items += [
                ItemPlan(
                    id=_item_id(digest, identity, sample),
                    task=task.name,
                    task_digest=digest,
                    agent=lane.agent,
                    model=lane.model,
                    control=lane.control,
                    sample=sample,
                )
                for sample in range(1, samples + 1)
            ]
    seen: dict[str, ItemPlan] = {}
    for item in items:
        other = seen.setdefault(item.id, item)
        if other is not item:
            raise InputError(
                f"the plan holds the same item twice: {other.task} and {item.task} with {item.agent}",
                file=loaded.file,
                hint="give each task, agent and model once",
            )
    return tuple(items)


def _item_id(task_digest: str, identity: Sequence[str | None], sample: int) -> str:
    return digest_of(["item/1", task_digest, identity, sample], 12)


def require_same(loaded: LoadedSuite, items: Sequence[ItemPlan], run: str) -> None:
    """Items of an earlier run must be what they were, or their ids would lie.

    Raises InputError naming the task, or the file of a script, patch or template, that has changed since.
    """
    digest = cache(lambda name: loaded.task_digest(loaded.task(name)))
    identity = cache(lambda task, lane: lane.identity(task))
    for item in items:
        if digest(item.task) != item.task_digest:
            raise InputError(
                f"task {item.task} is not what it was when run {run} was planned",
                file=loaded.file,
                line=line_of_task(loaded, loaded.task(item.task)),
                hint="bring back the suite of that time, or plan its tasks anew: `speedproof plan SUITE`",
            )
        lane = Lane(item.agent, item.model, item.control)
        if _item_id(item.task_digest, identity(item.task, lane), item.sample) != item.id:
            raise InputError(
                f"item {item.id} of run {run} is another one now: a file that {item.lane} names has changed since",
                hint="bring back the script, patch or template of that time, or plan anew: `speedproof plan SUITE`",
            )


def line_of_task(loaded: LoadedSuite, task: Task, *within: str) -> int | None:
    """The line of a task, or of something in it, in the suite's file."""
    return line_of(load_yaml(loaded.file), ["tasks", loaded.suite.tasks.index(task), *within])
