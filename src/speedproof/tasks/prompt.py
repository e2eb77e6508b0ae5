"""What the agent is told: the task's instructions and how to work, never anything about the expert's change."""

from jinja2 import Environment, PackageLoader, StrictUndefined

from speedproof.sandbox.box import ENVIRONMENT, TASK, WORKSPACE
from speedproof.tasks.models import Limits, Task

_TEMPLATES = Environment(
    loader=PackageLoader("speedproof.tasks"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def render_prompt(task: Task) -> str:
    """The prompt of a task, in Markdown, with paths as a sandbox shows them."""
    return _TEMPLATES.get_template("prompt.md.j2").render(
        task=task,
        workspace=WORKSPACE,
        task_files=TASK,
        environment=ENVIRONMENT,
        own_tests=[tests for tests in task.tests if not tests.files],
        bounds=_bounds(task.limits),
    )


def _bounds(limits: Limits) -> list[str]:
    """The limits in words; those that do not hold are left out."""
    words = {
        "wall_s": "{:g} seconds in all",
        "idle_s": "{:g} seconds without output or a model call",
        "steps": "{} model calls",
        "tokens": "{} tokens, in and out",
        "cost_usd": "{:g} US dollars",
    }
    bounds = limits.model_dump()
    return [text.format(bounds[field]) for field, text in words.items() if bounds[field] is not None]
