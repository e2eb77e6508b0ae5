"""What the rules look at: an attempt's record, its model calls as pairs, and its logs, each with its place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from speedproof.journal.attempt import ACTIVITY, ENDED, Attempt, Transition
from speedproof.journal.base import Evidence
from speedproof.journal.call import CUT_BY_AGENT, CUT_BY_END, CallIntent, CallOutcome
from speedproof.journal.redaction import redact
from speedproof.journal.store import AttemptStore

STDOUT = "stdout.log.zst"
STDERR = "stderr.log.zst"
_TERMINAL = re.compile(
    r"\x1b(?:\[[0-?]{0,30}[ -/]{0,5}[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|.)?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def excerpt(text: str, length: int = 400) -> str:
    """`text` as it may stand in a record: terminal codes and secrets removed, cut to `length` characters."""
    return redact(_TERMINAL.sub("", text[:8000])).strip()[:length]


def sentence(text: str) -> str:
    """`text` as an excerpt on one line."""
    return " ".join(excerpt(text).split())


def utc(moment: datetime) -> datetime:
    """`moment` as aware UTC; a moment without a zone is taken as UTC, as every record's is."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@dataclass(frozen=True)
class ModelCall:
    """One call on the wire: its intent and its outcome, either of which may be missing."""

    number: int
    intent: CallIntent | None
    outcome: CallOutcome | None
    line: int
    """Line in calls.jsonl of the outcome; of the intent when there is no outcome."""
    intent_line: int | None = None
    """Line in calls.jsonl of the intent; null when there is none."""

    @property
    def side_route(self) -> bool:
        """Whether it is no model call at all, such as /v1/models."""
        return self.intent is not None and self.intent.protocol == "other"

    @property
    def failed(self) -> bool:
        """Whether it ended in an error, or without its protocol's end marker."""
        o = self.outcome
        return o is None or o.status is None or o.status >= 400 or o.error is not None or not o.complete

    @property
    def cut_off(self) -> bool:
        """Whether no answer, or only the beginning of one, had arrived: what the end of the agent may do to a call."""
        o = self.outcome
        return o is None or (not o.complete and (o.status is None or o.status < 400))

    @property
    def cut_by_agent(self) -> bool:
        """Whether the agent, or its end, broke it off, so that nothing is said against the provider."""
        return self.cut_off and self.outcome is not None and self.outcome.error in {CUT_BY_AGENT, CUT_BY_END}

    @property
    def refused(self) -> bool:
        """Whether Speedproof itself refused it; a 5xx of the gateway only says that the provider was not reached."""
        o = self.outcome
        return o is not None and o.answered_by == "gateway" and 400 <= (o.status or 0) < 500

    @property
    def model(self) -> str | None:
        """The model that was asked in the end; null when the record does not say."""
        i = self.intent
        return None if i is None else i.sent.get("model") or i.model_asked

    @property
    def evidence(self) -> Evidence:
        """Its place in calls.jsonl."""
        if self.outcome is not None and self.outcome.error:
            return Evidence(file="calls.jsonl", line=self.line, excerpt=excerpt(self.outcome.error))
        record = self.outcome or self.intent
        text = record.model_dump_json(exclude_none=True, exclude_defaults=True) if record is not None else ""
        return Evidence(file="calls.jsonl", line=self.line, excerpt=excerpt(text))


def _paired(lines: Sequence[tuple[int, CallIntent | CallOutcome]]) -> list[ModelCall]:
    """Calls in the order in which they ended; those without an outcome last, by number."""
    intents: dict[int, tuple[int, CallIntent]] = {}
    outcomes: dict[int, tuple[int, CallOutcome]] = {}
    for line, record in lines:
        if isinstance(record, CallIntent):
            intents[record.call] = (line, record)
        else:
            outcomes[record.call] = (line, record)
    ended: list[ModelCall] = []
    for number, (line, outcome) in outcomes.items():
        asked_at, intent = intents.get(number, (None, None))
        ended.append(ModelCall(number, intent, outcome, line, asked_at))
    waiting = [ModelCall(n, i, None, line, line) for n, (line, i) in intents.items() if n not in outcomes]
    return sorted(ended, key=lambda c: c.line) + sorted(waiting, key=lambda c: c.number)


class Facts:
    """One attempt, read once; logs only when a rule asks for them. Raises RecordError when attempt.json is damaged."""

    def __init__(self, store: AttemptStore) -> None:
        self.attempt: Attempt = store.read()
        lines, self.bad_lines = store.calls()
        calls = _paired(lines)
        self.calls = [c for c in calls if not c.side_route]
        self.side_calls = [c for c in calls if c.side_route]
        self.wire_recorded = (store.folder / "calls.jsonl").exists()
        """Whether a gateway stood on the wire at all: its file is there from the start, empty or not."""
        self._store = store

    @cached_property
    def stderr(self) -> list[str]:
        """Lines of the agent's standard error."""
        return self._store.log_lines(STDERR)

    @cached_property
    def stdout(self) -> list[str]:
        """Lines of the agent's standard output."""
        return self._store.log_lines(STDOUT)

    @cached_property
    def _record(self) -> list[str]:
        text = (self._store.folder / "attempt.json").read_text(encoding="utf-8", errors="replace")
        return text.split("\n")

    def place(self, *keys: str, entry: int | None = None) -> Evidence:
        """The place of a field in attempt.json, by the names on the way to it; `entry`: in which one of a list, from 0.

        That of the last entry when there are fewer.
        """
        found, start = None, 0
        for depth, key in enumerate(keys, 1):
            listed = entry if depth == len(keys) else None
            opening = f'{" " * (depth if listed is None else depth + 1)}"{key}":'
            hits = [n for n in range(start, len(self._record)) if self._record[n].startswith(opening)]
            if not hits:
                break
            found = hits[min(listed or 0, len(hits) - 1)]
            start = found + 1
        text = self._record[found] if found is not None else ""
        return Evidence(file="attempt.json", line=None if found is None else found + 1, excerpt=excerpt(text))

    @property
    def failing(self) -> list[ModelCall]:
        """The calls at the end of which none succeeded, oldest first; empty when the last call succeeded.

        Only those of the attempt's own model count, where it was called: what a side model answers says nothing of it.
        """
        main = (self.attempt.model or "").partition("/")[2]
        streak: list[ModelCall] = []
        for call in reversed([c for c in self.calls if c.model == main] or self.calls):
            if not call.failed:
                break
            streak.append(call)
        return streak[::-1]

    @property
    def model_answered(self) -> bool:
        """Whether any model call succeeded: before that, an agent cannot have been told to run a command."""
        return any(not c.failed for c in self.calls)

    @property
    def lived(self) -> list[Transition]:
        """The stages that its own harness took it through: not its sealing, nor what another did to seal it."""
        a = self.attempt
        until = None if a.recovered_at is None else utc(a.recovered_at)
        return [t for t in a.transitions if t.stage != "sealed" and (until is None or utc(t.at) < until)]

    @property
    def stage(self) -> str:
        """What was last being done before the attempt was sealed: prepare, run or collect."""
        return ACTIVITY[self.lived[-1].stage if self.lived else "queued"]

    @property
    def ended_at(self) -> datetime | None:
        """When the agent's process ended, or was asked to; null when nothing says."""
        a = self.attempt
        stopping = [t.at for t in a.transitions if t.stage == "stopping"]
        moment = stopping[0] if stopping else a.sealed_at
        return None if moment is None else utc(moment)

    @property
    def ended_by_itself(self) -> bool:
        """Whether the agent's process had ended before anybody asked it to."""
        stopping = [t for t in self.attempt.transitions if t.stage == "stopping"]
        return bool(stopping) and stopping[0].cause == ENDED

    def seconds_to_end(self, moment: datetime) -> float | None:
        """Seconds from `moment` to the end of the agent's process; null when the end is unknown."""
        return None if self.ended_at is None else (self.ended_at - utc(moment)).total_seconds()
