"""Attempts written through the store, with only the facts that a test cares about."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

from speedproof.journal import (
    Attempt,
    AttemptStore,
    CallIntent,
    CallOutcome,
    PatchFacts,
    ProcessFacts,
    StopCause,
    Transition,
    Usage,
)
from speedproof.journal.attempt import AgentOutcome, HarnessError
from speedproof.journal.files import JsonLines

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USED = Usage(uncached_input=100, cache_read=50, output=20)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def process(exit_code: int | None = 0, *, stopped_by: StopCause | None = None, **other: Any) -> ProcessFacts:
    given = {"argv": ("agent",), "signal": None, "wall_s": 100.0, "cpu_s": 1.0, "max_rss_bytes": 1 << 20}
    return ProcessFacts(exit_code=exit_code, stopped_by=stopped_by, **(given | other))


def patch(size: int = 120, **other: Any) -> PatchFacts:
    given = {
        "sha256": "0" * 64,
        "tree": "1" * 40,
        "files": ("a.py",) if size else (),
        "added_lines": 3 if size else 0,
        "removed_lines": 1 if size else 0,
        "effect": "code" if size else "none",
        "applies": True,
        "left_out": (),
        "left_out_count": 0,
        "refused": (),
    }
    return PatchFacts(size=size, **(given | other))


def outcome(**facts: Any) -> AgentOutcome:
    return AgentOutcome(**facts)


def failed_with(kind: str, message: str, stage: str = "prepare") -> HarnessError:
    return HarnessError(stage=stage, kind=kind, message=message, traceback="")


class Wire:
    """calls.jsonl, call by call."""

    def __init__(self) -> None:
        self.lines: list[CallIntent | CallOutcome] = []
        self._number = 0
        self._clock = 0.0

    def _intent(self, **facts: Any) -> int:
        self._number += 1
        given = {
            "at": at(self._clock),
            "method": "POST",
            "path": "/v1/chat/completions",
            "protocol": "chat",
            "request_bytes": 10,
            "request_sha256": "2" * 64,
        }
        self.lines.append(CallIntent(call=self._number, **(given | facts)))
        return self._number

    def _outcome(self, number: int, seconds: float, **facts: Any) -> "Wire":
        self._clock += seconds
        self.lines.append(CallOutcome(call=number, at=at(self._clock), duration_s=seconds, **facts))
        return self

    def ok(self, times: int = 1, usage: Usage | None = USED, cost_usd: float | None = 0.5) -> "Wire":
        for _ in range(times):
            number = self._intent()
            self._outcome(number, 1, status=200, complete=True, usage=usage, cost_usd=cost_usd, first_byte_s=0.1)
        return self

    def fails(
        self,
        status: int | None,
        error: str | None,
        code: str | None = None,
        *,
        times: int = 1,
        seconds: float = 1,
        **o: Any,
    ) -> "Wire":
        for _ in range(times):
            number = self._intent()
            self._outcome(
                number, seconds, **({"status": status, "error": error, "error_code": code, "complete": True} | o)
            )
        return self

    def unanswered(self) -> "Wire":
        self._intent()
        return self

    def side_route(self, status: int = 200, **facts: Any) -> "Wire":
        number = self._intent(path="/v1/models", protocol="other", method="GET")
        return self._outcome(number, 0, status=status, complete=True, **facts)


def write_attempt(
    folder: Path,
    *,
    calls: Wire | None = None,
    stdout: Sequence[str] = (),
    stderr: Sequence[str] = (),
    open_in: str | None = None,
    stages: Iterable[str] = ("queued", "prepared", "running", "stopping", "collected", "sealed"),
    **facts: Any,
) -> AttemptStore:
    """An attempt that went well, except for `facts`; `open_in`: left open in that stage."""
    folder = folder / "runs" / "r" / "items" / facts.get("item", "i") / f"{facts.get('number', 1):02d}"
    folder.mkdir(parents=True)
    store = AttemptStore(folder)
    names = list(stages)
    if open_in is not None:
        names = names[: names.index(open_in) + 1]
    moments = {"stopping": 100.0, "collected": 100.5, "sealed": 101.0}
    given: dict[str, Any] = {
        "run": "r",
        "item": "i",
        "number": 1,
        "task": "t",
        "agent": "mini",
        "model": "openai/m",
        "sample": 1,
        "state": "open" if open_in else "sealed",
        "opened_at": START,
        "sealed_at": None if open_in else at(101),
        "transitions": tuple(Transition(stage=s, at=at(moments.get(s, 0.0))) for s in names),
        "process": None if open_in else process(),
        "patch": None if open_in else patch(),
    }
    if calls is not None:
        lines = JsonLines(folder / "calls.jsonl")
        for line in calls.lines:
            lines.append(line.model_dump_json())
        lines.close()
    for name, text in (("stdout.log.zst", stdout), ("stderr.log.zst", stderr)):
        if text:
            (folder / name).write_bytes(zstandard.compress("".join(f"{t}\n" for t in text).encode()))
    store.write(Attempt(**(given | facts)))
    return store
