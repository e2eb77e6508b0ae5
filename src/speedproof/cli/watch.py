"""speedproof watch"""

from collections.abc import Iterable

from rich.console import Console
from rich.live import Live

from speedproof.cli.console import console
from speedproof.cli.progress import line, whole
from speedproof.cli.stored import DEFAULT_STATE, Run, State, store_of
from speedproof.execution.progress import followed
from speedproof.execution.progress_record import Progress


def watch(run: Run = "latest", state: State = DEFAULT_STATE) -> None:
    """Show how far a run is until it ends, from any terminal; Ctrl-C leaves the run alone."""
    output = console()
    seen = followed(store_of(state).run(run))
    try:
        last = _live(seen, output) if output.is_terminal else _plain(seen, output)
    except KeyboardInterrupt:
        output.print("no longer watched; the run goes on")
        return
    output.print(whole(last))


def _live(seen: Iterable[Progress], output: Console) -> Progress:
    with Live(console=output, transient=True, auto_refresh=False) as live:
        for progress in seen:
            live.update(whole(progress), refresh=True)
    return progress


def _plain(seen: Iterable[Progress], output: Console) -> Progress:
    said = ""
    for progress in seen:
        if (now := line(progress)) != said:
            output.print(now, markup=False, soft_wrap=True)
            said = now
    return progress
