"""Telling somebody who does not watch: a command of theirs is run when a run needs them, and when it ends."""

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

from speedproof.errors import RecordError
from speedproof.execution.progress import progress_of
from speedproof.execution.progress_record import Progress
from speedproof.journal import Record, RunStore
from speedproof.journal.base import now
from speedproof.journal.events import Event, LaneOpened, RunLimit
from speedproof.journal.pace import ProviderDown
from speedproof.journal.redaction import redact
from speedproof.sandbox import orphans

LONGEST_S = 30.0
"""Seconds after which a command that has not ended is ended, with all that it started."""
_SUPERVISE = Path(orphans.__file__).with_name("supervise.py")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|COOKIE|PRIVATE|(?:^|_)PASS(?:$|_)", re.IGNORECASE)
_LONGEST_MESSAGE = 500


class RunEnded(Record):
    """The process that works on a run is done with it: no line of events.jsonl, but the last thing that is told."""

    event: Literal["run_ended"] = "run_ended"
    """Marks it."""
    at: datetime
    """When, UTC."""
    how: Literal["finished", "stopped", "failed"]
    """finished: nothing is left that can be done now; stopped: somebody asked it to; failed: something of ours did."""
    why: str | None
    """What failed; null when nothing did."""
    progress: Progress | None
    """How far it is; null when that can no longer be read."""


News = LaneOpened | RunLimit | ProviderDown | RunEnded
"""What asks for a person."""


class Notifier:
    """Runs a shell command for what asks for a person. A context: its end tells how the run ended, and is the only
    thing that waits for the command.

    The command finds the event as one line of JSON on its standard input, and in its environment SPEEDPROOF_RUN,
    SPEEDPROOF_EVENT and SPEEDPROOF_MESSAGE; variables whose name or value looks like a secret are taken out of it.
    """

    def __init__(
        self,
        command: str | None,
        run: RunStore,
        warned: Callable[[str], None],
        *,
        longest_s: float = LONGEST_S,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """No command: nothing is run. `warned` hears, once, what went wrong with it; `longest_s` is how many seconds it
        may take."""
        self.command, self.run, self.warned, self.longest_s = command, run, warned, longest_s
        self._environ = without_secrets(environ)
        self._told: set[tuple[str, ...]] = set()
        self._waiting: queue.SimpleQueue[News | None] = queue.SimpleQueue()
        self._failed = self._hung = False
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)

    def __enter__(self) -> "Notifier":
        if self.command is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.command is not None:
            self._waiting.put(self._ended(error))
            self._waiting.put(None)
            self._thread.join()

    def tell(self, event: Event) -> None:
        """Let the command know of an event, if it is one that asks for a person; the same news is told once."""
        if self.command is None or not isinstance(event, LaneOpened | RunLimit | ProviderDown):
            return
        same = _same(event)
        if same not in self._told:
            self._told.add(same)
            self._waiting.put(event)

    def _ended(self, error: BaseException | None) -> RunEnded:
        progress = None
        with suppress(RecordError):  # the error that ended the run says more than that of its record
            progress = progress_of(self.run)
        stopped = isinstance(error, KeyboardInterrupt)
        return RunEnded(
            at=now(),
            how="finished" if error is None else "stopped" if stopped else "failed",
            why=None if error is None or stopped else redact(str(error) or type(error).__name__),
            progress=progress,
        )

    def _work(self) -> None:
        while (news := self._waiting.get()) is not None:
            if self._hung and not isinstance(news, RunEnded):
                continue  # it would hang again, and the end of the run would wait for it
            failure = self._call(news)
            if failure is not None and not self._failed:
                self._failed = True
                self.warned(f"--notify: the command {failure}")

    def _call(self, news: News) -> str | None:
        """Run the command once; what went wrong with it, null when nothing did."""
        told = {
            "SPEEDPROOF_RUN": self.run.id,
            "SPEEDPROOF_EVENT": news.event,
            "SPEEDPROOF_MESSAGE": _message(self.run, news),
            orphans.MARK: orphans.own_mark(),
        }
        with Path(os.devnull).open("wb") as nothing:
            # its supervisor ends it, and all that it started, when it has ended, when we ask, and when we are gone
            words = [sys.executable, "-I", "-S", str(_SUPERVISE), str(nothing.fileno()), "/bin/sh", "-c"]
            try:
                process = subprocess.Popen(
                    [*words, str(self.command)],
                    stdin=subprocess.PIPE,
                    stdout=nothing,
                    stderr=nothing,
                    env={**self._environ, **told},
                    pass_fds=(nothing.fileno(),),
                    start_new_session=True,
                )
            except OSError as error:
                return f"cannot be started: {error.strerror}"
            with process:
                try:
                    process.communicate(news.model_dump_json().encode() + b"\n", timeout=self.longest_s)
                except subprocess.TimeoutExpired:
                    self._hung = True
                    process.terminate()
                    return f"was ended after {self.longest_s:g} s"
        return None if process.returncode == 0 else f"ended with exit code {process.returncode}"


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of which neither the name nor the value looks like a secret."""
    return {name: value for name, value in environ.items() if not _SECRET.search(name) and redact(value) == value}


def _same(event: LaneOpened | RunLimit | ProviderDown) -> tuple[str, ...]:
    """What makes two events one piece of news."""
    match event:
        case LaneOpened():
            return (event.event, event.lane, event.at.isoformat())
        case RunLimit():
            return (event.event, event.limit)
        case ProviderDown():
            return (event.event, event.provider, event.failure)


def _message(run: RunStore, news: News) -> str:
    match news:
        case LaneOpened():
            text = f"nothing more is spent on {news.lane}: {news.failure}: {news.message}"
        case RunLimit():
            text = f"the run's limit ({news.limit}) is used up"
        case ProviderDown():
            text = f"{news.provider} serves no more calls: {news.failure}: {news.message}"
        case RunEnded():
            text = ("it was " if news.how == "stopped" else "it ") + news.how
            text += "" if news.why is None else f": {news.why}"
            if news.progress is not None:
                text += f"; {news.progress.items['done']} of {news.progress.total} items done"
                text += "".join(f", {number} {outcome}" for outcome, number in news.progress.outcomes.items())
    return redact(f"run {run.id}: {' '.join(text.split())}").replace("\0", "")[:_LONGEST_MESSAGE]
