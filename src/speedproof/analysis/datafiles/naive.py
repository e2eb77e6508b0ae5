"""Attempts and runs as naive reading sees them: what the published files hold, in their order.

Its errors are kept: tokens by the first running total, steps compared as text, text matches counted as failed calls, a
trajectory taken for completion, a missing patch taken for an empty one. What it cannot see is null.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from speedproof.analysis.collection import Collection, Entry


def known_sum(values: Iterable[int | None]) -> int | None:
    """The sum of what is known; null when nothing is."""
    known = [v for v in values if v is not None]
    return sum(known) if known else None


@dataclass(frozen=True)
class NaiveItem:
    """One attempt."""

    entry: Entry
    """Its record."""

    @property
    def item_id(self) -> str:
        """Name of the item."""
        return self.entry.attempt.item

    @property
    def commit(self) -> str | None:
        """The expert's commit."""
        return self.entry.attempt.commit

    @property
    def commit_short(self) -> str | None:
        """Its first eight digits."""
        return None if self.commit is None else self.commit[:8]

    @property
    def status(self) -> str | None:
        """The status as recorded."""
        return self.entry.attempt.recorded.status

    @property
    def returncode(self) -> int | None:
        """The exit code as recorded."""
        return self.entry.attempt.recorded.exit_code

    @property
    def error(self) -> str | None:
        """The error text as recorded."""
        return self.entry.attempt.recorded.error

    @property
    def error_type(self) -> str | None:
        """The kind of error as recorded."""
        return self.entry.attempt.recorded.error_type

    @property
    def duration(self) -> float | None:
        """Seconds as recorded."""
        return _finite(self.entry.attempt.recorded.wall_s)

    @property
    def duration_minutes(self) -> float | None:
        """The same in minutes, to two digits."""
        return None if self.duration is None else round(self.duration / 60, 2)

    @property
    def timestamp(self) -> float | None:
        """When the record was written, seconds since 1970, as recorded."""
        return _finite(self.entry.attempt.recorded.written)

    @cached_property
    def readable(self) -> bool:
        """Whether naive reading has anything to read: a folder of the earlier harness, or a console log."""
        return self.entry.attempt.layout == "perf-agents-bench" or self._console

    @cached_property
    def _console(self) -> bool:
        return any(f.kind == "log" or f.path.endswith("stdout.txt") for f in self.entry.attempt.files)

    @property
    def patch_size(self) -> int | None:
        """Bytes of the patch; 0 where its file is missing."""
        patch = self.entry.attempt.patch
        return patch.size if patch is not None else 0 if self.readable else None

    @property
    def has_patch(self) -> bool | None:
        """Whether there are any."""
        return None if self.patch_size is None else self.patch_size > 0

    @property
    def input_tokens(self) -> int | None:
        """Input tokens by the first running total of the log."""
        return self.entry.attempt.legacy.first_input

    @property
    def output_tokens(self) -> int | None:
        """Output tokens likewise."""
        return self.entry.attempt.legacy.first_output

    @property
    def total_tokens(self) -> int | None:
        """Both; 0 where there are none."""
        return (self.input_tokens or 0) + (self.output_tokens or 0) if self.readable else None

    @property
    def gpt5_errors(self) -> int | None:
        """Text matches of "No tool output found for function call"."""
        return self.entry.attempt.legacy.no_tool_output_matches if self.readable else None

    @property
    def max_step(self) -> int | None:
        """The largest step number, compared as text; 0 where a log has none; null without a log."""
        found = self.entry.attempt.legacy.step_as_text
        return found if found is not None else 0 if self._console else None

    @property
    def completed(self) -> bool | None:
        """Whether a trajectory is there."""
        return any(f.path.endswith("trajectory.json") for f in self.entry.attempt.files) if self.readable else None

    @property
    def outcome(self) -> str | None:
        """Recorded status, patch and error in one word."""
        if self.entry.recorded is None:
            return None
        if self.entry.recorded:
            return "success_with_patch" if self.has_patch else "success_no_patch"
        if self.gpt5_errors:
            return "error_gpt5_api"
        return f"error_{self.error_type or 'unknown'}"


@dataclass(frozen=True)
class NaiveRun:
    """One run."""

    run_id: str
    """Its id."""
    items: tuple[NaiveItem, ...]
    """Its attempts by the names of their items."""

    @cached_property
    def successes(self) -> int | None:
        """Attempts recorded as a success; null when no status is recorded."""
        return known_sum(None if i.entry.recorded is None else int(i.entry.recorded) for i in self.items)

    @cached_property
    def errors(self) -> int | None:
        """Attempts recorded as anything else; null when no status is recorded."""
        return known_sum(None if i.entry.recorded is None else int(not i.entry.recorded) for i in self.items)

    @property
    def success_rate(self) -> float | None:
        """Successes of all its attempts in per cent, to two digits."""
        return None if self.successes is None else round(100 * self.successes / len(self.items), 2)

    @cached_property
    def total_tokens(self) -> int | None:
        """Tokens by the first running totals."""
        return known_sum(i.total_tokens for i in self.items)

    @cached_property
    def gpt5_errors(self) -> int | None:
        """Text matches."""
        return known_sum(i.gpt5_errors for i in self.items)

    @property
    def patches(self) -> int | None:
        """Attempts with patch bytes."""
        return known_sum(i.has_patch for i in self.items)

    def timestamp(self, choose: Callable[[list[float]], float]) -> float | None:
        """The first or the last (min, max) of the times at which its records were written."""
        known = [i.timestamp for i in self.items if i.timestamp is not None]
        return choose(known) if known else None


def naive_runs(collection: Collection) -> tuple[NaiveRun, ...]:
    """Runs by id."""
    return tuple(
        NaiveRun(run, tuple(NaiveItem(e) for e in sorted(members, key=lambda e: (e.attempt.item, e.name))))
        for run, members in sorted(collection.by_run.items())
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
