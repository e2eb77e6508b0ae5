"""speedproof explain"""

from typing import Annotated

import typer

from speedproof.cli.console import console
from speedproof.cli.options import DEFAULT_STATE, State, store_of
from speedproof.report import explain as explained


def explain(
    attempt: Annotated[str, typer.Argument(metavar="ATTEMPT", help="RUN/ITEM/NUMBER, or an item of the latest run.")],
    state: State = DEFAULT_STATE,
) -> None:
    """Say what happened in an attempt, why the verdict is what it is, and where the evidence lies."""
    console(110).print(explained(store_of(state).attempt(attempt)))
