"""speedproof plan"""

import json

import typer
from rich.table import Table

from speedproof.cli.console import console
from speedproof.cli.options import Agents, Json, Models, Samples, Suite, Tasks
from speedproof.execution.plan import chosen_tasks, lanes_of, plan_items
from speedproof.tasks.suite import load_suite


def plan(
    suite: Suite,
    agent: Agents,
    model: Models = [],  # noqa: B006 - typer copies it
    task: Tasks = [],  # noqa: B006
    samples: Samples = 1,
    as_json: Json = False,
) -> None:
    """Resolve suite × agents × models × samples into items, before anything is spent."""
    loaded = load_suite(suite)
    items = plan_items(loaded, chosen_tasks(loaded, task), lanes_of(agent, model), samples)
    if as_json:
        typer.echo(json.dumps([item.model_dump(mode="json") for item in items], indent=1))
        return
    table = Table("item", "task", "agent", "model", "sample", box=None, header_style="dim")
    for item in items:
        agent_name = item.agent if item.control is None else f"{item.agent}:{item.control}"
        table.add_row(item.id, item.task, agent_name, item.model or "–", str(item.sample))
    console().print(table)
    console().print(f"{len(items)} items of {len({i.task for i in items})} tasks")
