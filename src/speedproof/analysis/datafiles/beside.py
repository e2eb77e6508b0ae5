"""What is true, beside what naive reading gives: the objects called `speedproof` in the four files."""

from collections.abc import Iterable
from typing import Any

from speedproof.analysis.collection import DIMENSIONS, Collection, Entry, Where
from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.datafiles.truth import truth
from speedproof.analysis.measures import figure

OF_A_RUN = (
    "attempts",
    "recorded_successes",
    "exit_and_patch",
    "strict",
    "confirmed",
    "proven",
    "patches",
    "wall_s",
    "steps",
    "input_tokens",
    "uncached_input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "list_price",
    "calls",
    "failed_calls",
    "tool_output_missing_calls",
)
"""Measures over one run."""
OF_ALL = (
    *OF_A_RUN,
    "runs",
    "runs_with_recorded_success",
    "commits",
    "commits_with_several_attempts",
    "commits_retried",
    "commits_recorded",
    "commits_recorded_latest",
    "commits_exit_and_patch",
    "commits_strict",
    "commits_confirmed",
    "commits_proven",
    "attempts_with_tokens",
    "impossible_usage",
    "tool_output_missing_attempts",
    "errors_without_text",
    "causes_found",
    "no_patch",
    "empty_patch_files",
    "distinct_patches",
    "patches_seen_before",
)
"""Measures over all attempts: beside a summary."""
STATISTICS = (
    "wall_mean",
    "wall_median",
    "wall_shortest",
    "wall_longest",
    "steps_most",
    "input_tokens",
    "output_tokens",
    "list_price",
)
"""Measures over all attempts, and over the recorded successes: beside the statistics."""
DISTRIBUTIONS = {
    "by_run_status": "run_status",
    "by_patch_status": "patch",
    "by_cause": "failure",
    "by_exit_code": "exit_code",
    "by_usage_source": "usage_source",
    "by_model": "model",
}
"""Distributions beside the patterns, and the dimension of each."""


class Beside:
    """Makes the objects to add to the published shape; with `legacy`, there are none."""

    def __init__(self, collection: Collection, *, legacy: bool) -> None:
        self._collection = collection
        self._legacy = legacy
        self._items: dict[str, dict[str, Any]] = {}
        self._runs: dict[str, dict[str, Any]] = {}

    def item(self, entry: Entry) -> dict[str, Any]:
        """What is true of an attempt."""
        if self._legacy:
            return {}
        if entry.name not in self._items:
            self._items[entry.name] = _added(truth(self._collection, entry).model_dump(mode="json"))
        return self._items[entry.name]

    def link(self, entry: Entry) -> dict[str, Any]:
        """By what an attempt is found in the other files."""
        at = entry.at
        return {} if self._legacy else _added({"name": entry.name, "at": at.isoformat() if at else None})

    def run(self, run: str) -> dict[str, Any]:
        """Figures of a run."""
        if self._legacy:
            return {}
        if run not in self._runs:
            self._runs[run] = _added(self._figures(OF_A_RUN, {"run": run}))
        return self._runs[run]

    def whole(self) -> dict[str, Any]:
        """Figures of all attempts."""
        return {} if self._legacy else _added(self._figures(OF_ALL, {}))

    def statistics(self) -> dict[str, Any]:
        """Means and the like over all attempts, and over the recorded successes."""
        if self._legacy:
            return {}
        successes: Where = {"recorded_success": True}
        return _added(
            {
                "all": self._figures(STATISTICS, {}),
                "recorded_successes": self._figures(STATISTICS, successes),
            }
        )

    def distributions(self) -> dict[str, Any]:
        """How many attempts there are of each kind."""
        if self._legacy:
            return {}
        found: dict[str, Any] = {}
        for name, dimension in DISTRIBUTIONS.items():
            values: dict[Plain, None] = dict.fromkeys(
                DIMENSIONS[dimension][1](e, self._collection) for e in self._collection.entries
            )
            found[name] = {key(value): self._figure("attempts", {dimension: value}) for value in values}
        return _added(found)

    def _figures(self, names: Iterable[str], where: Where) -> dict[str, Any]:
        return {name: self._figure(name, where) for name in names}

    def _figure(self, name: str, where: Where) -> dict[str, Any]:
        return figure(self._collection, name, where).model_dump(mode="json")


def key(value: Plain) -> str:
    """A value as the key of a JSON object: null for what is unknown."""
    return "null" if value is None else str(value)


def _added(value: dict[str, Any]) -> dict[str, Any]:
    return {"speedproof": value}
