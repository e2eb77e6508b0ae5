"""speedproof demo"""

import typer

from speedproof.cli.options import DEFAULT_STATE, Json, State, settings_of
from speedproof.cli.run import conclude
from speedproof.cli.show import showing
from speedproof.execution.demo import DEMO_METHOD, demo_plan
from speedproof.execution.engine import execute_run
from speedproof.execution.setup import Setup
from speedproof.workspace.cache import Cache


def demo(context: typer.Context, state: State = DEFAULT_STATE, as_json: Json = False) -> None:
    """Run real agents on real tasks, played by the scripted model: five kinds of attempt, and the truth about each."""
    loaded, items = demo_plan()
    with showing(items) as show:
        done = execute_run(
            loaded,
            items,
            Setup(),
            state=state,
            cache=Cache(),
            method=DEMO_METHOD,
            settings=settings_of(context),
            audience=show,
        )
    conclude(done, done.folder / "report", as_json=as_json)
