"""speedproof stop"""

from typing import Annotated

import typer
from rich.console import Console

from speedproof.cli.console import console
from speedproof.cli.progress import line
from speedproof.cli.stored import DEFAULT_STATE, Run, State, store_of
from speedproof.execution.progress_record import Progress
from speedproof.execution.stopping import stop_run
from speedproof.report.text import plural


def stop(
    run: Run = "latest",
    now: Annotated[bool, typer.Option("--now", help="End running attempts without their grace.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Stop a run as Ctrl-C in its own terminal does: nothing more begins, what runs ends by its grace and is sealed."""
    progress = Console(stderr=True, highlight=False)
    said = ""

    def told(found: Progress) -> None:
        nonlocal said
        if (now := line(found)) != said:
            progress.print(now, markup=False, style="dim", soft_wrap=True)
            said = now

    found = store_of(state).run(run)
    sealed, left = stop_run(found, at_once=now, told=told)
    console().print(
        f"run {found.id} is {left.phase}: {plural(sealed, 'attempt')} sealed meanwhile, {left.items['done']} of "
        f"{plural(left.total, 'item')} done; `speedproof resume {found.id}` goes on",
        markup=False,
        soft_wrap=True,
    )
