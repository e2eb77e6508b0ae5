"""Why judging the patches of our own attempts failed, and where that stands: an evaluation, or the scheduler's log."""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from speedproof.analysis.reading import attempted
from speedproof.analysis.row import Row
from speedproof.diagnosis.facts import excerpt
from speedproof.diagnosis.harness import diagnose
from speedproof.journal import Evidence, RunStore
from speedproof.journal.events import Event, Judged, JudgingBegan, JudgingFailed, Stopped
from speedproof.journal.failure import Diagnosis, FailureClass
from speedproof.journal.foreign import ForeignAttempt

_WAY_TO_MESSAGE = (' "diagnosis":', '  "message":')
"""How the lines of an evaluation begin that lead to what its diagnosis says."""


class JudgingFailures:
    """What judging failed with, attempt by attempt of one run."""

    def __init__(self, run: RunStore) -> None:
        self._run = run

    def of(self, attempt: ForeignAttempt, row: Row) -> Diagnosis | None:
        """Why its patch could not be judged, or its task proves nothing, by the evaluation that counts; places are
        relative to the run's folder. Null when it was judged, waits for it, or left no patch to judge."""
        if row.patch_sha256 is None:
            return None
        if row.judging is not None and row.evaluation is not None:
            stands = [e.model_copy(update={"file": f"{attempt.folder}/{e.file}"}) for e in row.judging.evidence]
            found = tuple(stands) or (self._place(f"{attempt.folder}/{row.evaluation}"),)
            return row.judging.model_copy(update={"evidence": found})
        last = self._last
        if row.evaluation is not None or row.error is not None or last is None:
            return None
        if attempt.written is None or attempt.written > last.began.at:
            return None  # it came after, and waits
        failed = last.failed.get(row.task) or last.failed.get(None)
        return last.broken_off if failed is None else diagnose(failed[0].error, failed[1])

    def _place(self, file: str) -> Evidence:
        """The line of an evaluation that says it."""
        lines = (self._run.folder / file).read_text(encoding="utf-8", errors="replace").split("\n")
        at = 0
        for opening in _WAY_TO_MESSAGE:
            at = next((n for n in range(at, len(lines)) if lines[n].startswith(opening)), len(lines))
        return Evidence(file=file, line=at + 1, excerpt=excerpt(lines[at])) if at < len(lines) else Evidence(file=file)

    @cached_property
    def _last(self) -> "_Judging | None":
        """The last judging of the run, where it did not end; null where it did, was never begun, or is under way.

        A log that cannot be read shows nothing here: the run's report names it.
        """
        if self._run.is_locked():
            return None
        events, bad = attempted(self._run.events, []) or ([], [])
        damaged = {line.line for line in bad}
        last: _Judging | None = None
        for event, line in zip(events, (n for n in count(1) if n not in damaged), strict=False):
            match event:
                case JudgingBegan():
                    last = _Judging(event, _line(event, line))
                case JudgingFailed() if last is not None:
                    last.failed[event.task] = event, _line(event, line)
                case Stopped() if last is not None:
                    last.stopped = event, _line(event, line)
                case Judged():
                    last = None
        return last


@dataclass
class _Judging:
    """A judging that did not end, as the scheduler's log tells of it."""

    began: JudgingBegan
    place: Evidence
    """Where the log says that it began."""
    failed: dict[str | None, tuple[JudgingFailed, Evidence]] = field(default_factory=dict)
    """What failed, by task; null for what was no task's own."""
    stopped: tuple[Stopped, Evidence] | None = None
    """Who ended it."""

    @property
    def broken_off(self) -> Diagnosis:
        """Why patches wait for which nothing failed."""
        if self.stopped is not None:
            message = f"judging was stopped ({self.stopped[0].by}) before this patch had its verdict"
        else:
            message = (
                "judging began and did not end, so that this patch has no verdict; why is not on record: its process "
                "was killed"
            )
        return Diagnosis(
            failure=FailureClass.INTERRUPTED,
            message=message,
            stage="evaluate",
            confidence="weak" if self.stopped is None else "direct",
            evidence=(self.place,) if self.stopped is None else (self.stopped[1], self.place),
        )


def _line(event: Event, line: int) -> Evidence:
    return Evidence(file="events.jsonl", line=line, excerpt=excerpt(event.model_dump_json()))
