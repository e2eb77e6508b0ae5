"""Asking the process that works on a run to stop, from outside."""

import os
import signal
from collections.abc import Callable

from speedproof.errors import InputError
from speedproof.execution.holder import holder_of
from speedproof.execution.progress import followed, progress_of
from speedproof.execution.progress_record import Progress
from speedproof.journal import RunStore

_PAUSE_S = 0.2


def stop_run(
    run: RunStore, *, at_once: bool = False, told: Callable[[Progress], None] = lambda _: None
) -> tuple[int, Progress]:
    """Stop the run as Ctrl-C does: nothing is begun any more, running attempts end by their grace, and are sealed.

    `at_once` ends them without grace, as a second Ctrl-C does. Waits until nobody works on the run; `told` hears how
    far that is. Returns how many attempts were sealed meanwhile, and how the run stands then. Raises InputError when
    nobody works on it, or it is another user's.
    """
    progress = progress_of(run)
    if not progress.at_work:
        raise InputError(f"nobody works on run {run.id}: it is {progress.phase}", hint=f"speedproof status {run.id}")
    before = _sealed(progress)
    if not _asked(progress):
        _interrupt(run, progress)
    for progress in followed(run, _PAUSE_S):
        told(progress)
        if at_once and _asked(progress):
            _interrupt(run, progress)
            at_once = False
    return _sealed(progress) - before, progress


def _asked(progress: Progress) -> bool:
    """Whether it has taken in that it is to stop: a second signal would then be a second wish."""
    return progress.phase == "stopping"


def _sealed(progress: Progress) -> int:
    return progress.attempts - len(progress.running) - len(progress.left_open)


def _interrupt(run: RunStore, progress: Progress) -> None:
    """Send SIGINT to the process that holds the run, and to none that came to have its number."""
    pid = progress.pid
    hint = "stop it as the user who started it"
    if pid is None:
        raise InputError(f"run {run.id} is held by a process that cannot be seen from here", hint=hint)
    if holder_of(run, pid) != pid:
        return  # it has ended meanwhile
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise InputError(f"process {pid}, which works on run {run.id}, is another user's", hint=hint) from error
