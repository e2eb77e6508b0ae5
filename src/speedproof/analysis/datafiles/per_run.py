"""per_run_detailed_analysis.json: each run with its counts and times, and its items with a word for their outcome."""

from collections.abc import Sequence
from typing import Any

from speedproof.analysis.datafiles.beside import Beside
from speedproof.analysis.datafiles.naive import NaiveItem, NaiveRun


def per_run_detailed_analysis(runs: Sequence[NaiveRun], beside: Beside) -> list[dict[str, Any]]:
    """The content of the file."""
    return [
        {
            "run_id": run.run_id,
            "run_start_timestamp": run.timestamp(min),
            "run_end_timestamp": run.timestamp(max),
            "num_items": len(run.items),
            "success_count": run.successes,
            "error_count": run.errors,
            "success_rate": run.success_rate,
            "total_tokens": run.total_tokens,
            "total_gpt5_errors": run.gpt5_errors,
            "patches_generated": run.patches,
            "items": [_item(item) | beside.item(item.entry) for item in run.items],
        }
        | beside.run(run.run_id)
        for run in runs
    ]


def _item(item: NaiveItem) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "commit": item.commit_short,
        "status": item.status,
        "patch_size_bytes": item.patch_size,
        "has_patch": item.has_patch,
        "duration_seconds": item.duration,
        "duration_minutes": item.duration_minutes,
        "returncode": item.returncode,
        "input_tokens": item.input_tokens,
        "output_tokens": item.output_tokens,
        "total_tokens": item.total_tokens,
        "gpt5_errors": item.gpt5_errors,
        "max_step": item.max_step,
        "completed": item.completed,
        "error": item.error,
        "error_type": item.error_type,
        "outcome_classification": item.outcome,
    }
