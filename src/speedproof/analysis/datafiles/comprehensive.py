"""comprehensive_run_analysis.json: each run with its items, what their logs seem to say, and sums of that."""

from collections.abc import Sequence
from typing import Any

from speedproof.analysis.datafiles.beside import Beside
from speedproof.analysis.datafiles.naive import NaiveItem, NaiveRun, known_sum

_INPUT_USD, _OUTPUT_USD = 0.01, 0.03
"""Flat prices of 1,000 tokens."""


def comprehensive_run_analysis(runs: Sequence[NaiveRun], beside: Beside) -> dict[str, Any]:
    """The content of the file."""
    every = [item for run in runs for item in run.items]
    read = known_sum(i.input_tokens for i in every)
    written = known_sum(i.output_tokens for i in every)
    return {
        "runs": [
            {
                "run_id": run.run_id,
                "num_items": len(run.items),
                "items": [_item(item) | beside.item(item.entry) for item in run.items],
            }
            | beside.run(run.run_id)
            for run in runs
        ],
        "summary": {
            "total_runs": len(runs),
            "total_items": len(every),
            "runs_with_errors": known_sum(None if r.gpt5_errors is None else r.gpt5_errors > 0 for r in runs),
            "runs_with_success": known_sum(None if r.successes is None else r.successes > 0 for r in runs),
            "total_tokens_input": read,
            "total_tokens_output": written,
            "total_gpt5_errors": known_sum(i.gpt5_errors for i in every),
            "estimated_cost_usd": None
            if read is None or written is None
            else read / 1000 * _INPUT_USD + written / 1000 * _OUTPUT_USD,
        }
        | beside.whole(),
    }


def _item(item: NaiveItem) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "commit": item.commit_short,
        "status": item.status,
        "patch_size": item.patch_size,
        "duration_seconds": item.duration,
        "returncode": item.returncode,
        "error": item.error,
        "error_type": item.error_type,
        "input_tokens": item.input_tokens,
        "output_tokens": item.output_tokens,
        "gpt5_errors": item.gpt5_errors,
        "max_step": item.max_step,
        "completed": item.completed,
    }
