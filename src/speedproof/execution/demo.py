"""The demo: five kinds of attempt by real agents, played by the scripted model on two tasks of examples/pypi."""

from collections.abc import Iterable
from pathlib import Path

from speedproof.errors import InputError
from speedproof.execution.plan import Lane, plan_items
from speedproof.journal import ItemPlan, Method
from speedproof.tasks.suite import LoadedSuite, load_suite

DEMO_METHOD = Method(looks=(12, 18, 27))
"""Fewer blocks than the default, for the demo's four minutes: what needs more is called inconclusive."""

_SPAN, _LFU = "netaddr-span", "cachetools-lfu"
_KINDS: Iterable[tuple[str, str, str]] = (
    (_SPAN, "codex", "genuine"),
    (_SPAN, "mini", "no-effect"),
    (_SPAN, "codex", "fast-but-wrong"),
    (_LFU, "mini", "empty-claim"),
    (_LFU, "codex", "provider-fails"),
)


def demo_plan() -> tuple[LoadedSuite, tuple[ItemPlan, ...]]:
    """The demo's suite and items. Raises InputError when the examples are not beside the code."""
    examples = Path(__file__).parents[3] / "examples" / "pypi"
    if not examples.is_dir():
        raise InputError("the demo's examples are missing", file=examples, hint="run it from a clone of the repository")
    loaded = load_suite(examples / "suite.yaml")
    items = [
        item
        for task, agent, kind in _KINDS
        for item in plan_items(loaded, [loaded.task(task)], [Lane(agent, f"scripted:{examples / 'demo' / kind}.yaml")])
    ]
    return loaded, tuple(items)
