"""Which items a command is about: those of a suite with agents and models, or those of an earlier run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from speedproof.cli.options import store_of, suite_of
from speedproof.errors import InputError
from speedproof.execution.history import History, read_history
from speedproof.execution.plan import chosen_tasks, lanes_of, plan_items, require_same
from speedproof.execution.selection import select
from speedproof.journal import ItemPlan, Method
from speedproof.tasks.suite import LoadedSuite, load_suite

Suite = Annotated[
    Path | None, typer.Argument(metavar="SUITE", help="Suite file (YAML); with --from only where it has moved.")
]
Agents = Annotated[
    list[str],
    typer.Option(
        "--agent",
        metavar="AGENT",
        help="NAME or NAME@VERSION (`speedproof agents list`), command:FILE.yaml, or patch:expert, patch:noop, "
        "patch:FILE. May be repeated.",
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="RUN", help="Items of this run: without --where, those that are not done."),
]
Where = Annotated[
    list[str],
    typer.Option(
        "--where",
        metavar="EXPR",
        help="With --from: only items that fit, such as run=model_error, failure=model/auth or attempts>=3 "
        "(docs/batch.md). May be repeated; all must hold.",
    ),
]


@dataclass(frozen=True)
class Chosen:
    """Items and where they come from."""

    loaded: LoadedSuite
    items: Sequence[ItemPlan]
    method: Method
    """The method of judging: the earlier run's, or the default."""
    origin: str | None = None
    """The earlier run; null: there is none."""
    history: History | None = None
    """What was read of earlier runs to find them; null: nothing."""
    notes: Sequence[str] = ()
    """What could not be told of the earlier run."""


def chosen(
    suite: Path | None,
    agents: Sequence[str],
    models: Sequence[str],
    tasks: Sequence[str],
    samples: int,
    origin: str | None,
    where: Sequence[str],
    state: Path,
) -> Chosen:
    """The items that these options name. Raises InputError where they do not fit together, or to what is there."""
    if origin is not None:
        if agents or models or tasks or samples != 1:
            raise InputError("--from takes its items from a run", hint="choose among them with --where")
        run = store_of(state).run(origin)
        manifest = run.manifest()
        loaded = suite_of(manifest, suite)
        history = read_history(state)
        found = select(history.run(run.id), where)
        require_same(loaded, found.items, run.id)
        return Chosen(loaded, found.items, manifest.method, run.id, history, found.notes)
    if suite is None:
        raise InputError("there is no suite", hint="name a suite file and --agent …, or an earlier run with --from")
    if where:
        raise InputError("--where chooses among the items of a run", hint="name the run with --from")
    loaded = load_suite(suite)
    if not agents:
        raise InputError("there is no agent", hint="--agent codex, or --agent patch:expert")
    items = plan_items(loaded, chosen_tasks(loaded, tasks), lanes_of(agents, models), samples)
    return Chosen(loaded, items, Method())
