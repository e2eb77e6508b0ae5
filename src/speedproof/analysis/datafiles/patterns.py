"""detailed_pattern_analysis.json: distributions over all items, their statistics, and the attempts of each commit."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from speedproof.analysis.datafiles.beside import Beside, key
from speedproof.analysis.datafiles.naive import NaiveRun, known_sum

_SIZES = ((100, "tiny"), (1_000, "small"), (10_000, "medium"))
"""Bytes below which a patch that is not empty is called so; large from there on."""


def detailed_pattern_analysis(runs: Sequence[NaiveRun], beside: Beside) -> dict[str, Any]:
    """The content of the file."""
    every = [item for run in runs for item in run.items]
    status = _counts(key(i.status) for i in every)
    sizes = _counts(_size_class(i.patch_size) for i in every)
    codes = _counts(str(i.returncode) for i in every if i.returncode is not None)
    matches = _counts(str(i.gpt5_errors) for i in every if i.gpt5_errors)
    durations = [i.duration for i in every if i.duration is not None]
    read = [i.input_tokens for i in every if i.input_tokens is not None]
    written = [i.output_tokens for i in every if i.output_tokens is not None]
    commits = _by_commit(runs, beside)
    several = {commit: len(members) for commit, members in commits.items() if len(members) > 1}
    return {
        "patterns": {
            "by_status": status,
            "by_patch_size": sizes,
            "by_duration": durations,
            "by_tokens": {"input": read, "output": written},
            "by_gpt5_errors": matches,
            "by_returncode": codes,
            "runs_by_size": [_run(run) | beside.run(run.run_id) for run in runs],
            "commit_attempts": commits,
            "error_patterns": _counts(i.error for i in every if i.error),
        }
        | beside.distributions(),
        "statistics": {
            "duration": _durations(durations),
            "tokens_input": _tokens(read),
            "tokens_output": _tokens(written),
        }
        | beside.statistics(),
        "multi_attempt_commits": several,
        "summary": {
            "total_runs": len(runs),
            "total_items": len(every),
            "status_distribution": status,
            "patch_size_distribution": sizes,
            "returncode_distribution": codes,
            "commits_with_multiple_attempts": len(several),
            "total_gpt5_errors": known_sum(None if i.gpt5_errors is None else i.gpt5_errors > 0 for i in every),
        }
        | beside.whole(),
    }


def _run(run: NaiveRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "num_items": len(run.items),
        "success": run.successes,
        "error": run.errors,
        "total_tokens": run.total_tokens,
        "gpt5_errors": run.gpt5_errors,
    }


def _by_commit(runs: Sequence[NaiveRun], beside: Beside) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for item in run.items:
            if item.commit_short is not None:
                found.setdefault(item.commit_short, []).append(
                    {
                        "run_id": run.run_id,
                        "item_id": item.item_id,
                        "status": item.status,
                        "patch_size": item.patch_size,
                    }
                    | beside.link(item.entry)
                )
    return found


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values))


def _size_class(size: int | None) -> str:
    if not size:
        return key(None) if size is None else "empty"
    return next((name for below, name in _SIZES if size < below), "large")


def _durations(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "mean": statistics.mean(values) if values else None,
        "median": statistics.median(values) if values else None,
        "stdev": statistics.stdev(values) if len(values) > 1 else None,
        "min": min(values, default=None),
        "max": max(values, default=None),
    }


def _tokens(values: Sequence[int]) -> dict[str, float | None]:
    return {
        "mean": statistics.mean(values) if values else None,
        "median": statistics.median(values) if values else None,
        "total": sum(values) if values else None,
    }
