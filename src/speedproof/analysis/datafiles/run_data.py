"""run_analysis_data.json: each run with its items, as recorded."""

from collections.abc import Sequence
from typing import Any

from speedproof.analysis.datafiles.beside import Beside
from speedproof.analysis.datafiles.naive import NaiveItem, NaiveRun


def run_analysis_data(runs: Sequence[NaiveRun], beside: Beside) -> list[dict[str, Any]]:
    """The content of the file."""
    return [
        {
            "run_id": run.run_id,
            "num_items": len(run.items),
            "items": [_item(item) | beside.item(item.entry) for item in run.items],
        }
        | beside.run(run.run_id)
        for run in runs
    ]


def _item(item: NaiveItem) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "status": item.status,
        "commit": item.commit,
        "patch_size": item.patch_size,
        "duration": item.duration,
        "returncode": item.returncode,
        "error": item.error,
        "error_type": item.error_type,
        "timestamp": item.timestamp,
    }
