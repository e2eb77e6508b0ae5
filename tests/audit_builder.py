"""Makes an archive in which nothing is wrong, so that a test of a rule changes one thing."""

from pathlib import Path
from typing import Any

from archive_builder import HUMAN, PATCH, PRE, WRITTEN, imported, put, trajectory, usage
from speedproof.analysis.audit import Audit, audit
from speedproof.analysis.collection import collect

RUN, ITEM = "a-run-1a2b3c4d", "item-0000"
SECONDS = 3_212.0
METRICS = {"commit_count": 1, "patch_size_loc": 3, "changed_files_count": 1, "violations_count": 0, "output_tokens": 90}
DAY = 86_400
OTHER_PATCH = PATCH.replace("sorted(values)", "list(values)")


def journal(status: str = "success", code: int = 0, *, wall: float = SECONDS, **more: Any) -> dict[str, Any]:
    """A journal that fits its trajectory."""
    return {
        "task_id": "fastlib_core",
        "commits": {"pre": PRE, "human": HUMAN},
        "status": status,
        "metrics": METRICS,
        "trae": {"cli": "python", "time_budget_minutes": 60, "returncode": code, "duration_s": wall},
        "timestamps": {"written": WRITTEN},
        **more,
    }


def answered(**more: Any) -> dict[str, Any]:
    """A trajectory with two answers."""
    return trajectory(usage(1_000, 40, 500), usage(2_000, 50, 900), **more)


def attempt(root: Path, *, run: str = RUN, item: str = ITEM, **files: Any) -> Path:
    """An attempt in which nothing is wrong but for the `files` given; null leaves one out."""
    usual: dict[str, Any] = {
        "journal__json": journal(),
        "trajectory__json": answered(),
        "model_patch__diff": PATCH,
        "trae_stdout__txt": "Step 1\n",
    }
    kept = {name: value for name, value in (usual | files).items() if value is not None}
    return put(root / "state" / "runs" / run / item, **kept)


def later(seconds: float = DAY, **more: Any) -> dict[str, Any]:
    """A journal written so many seconds later; give its trajectory as `untimed()`."""
    return journal(**({"timestamps": {"written": WRITTEN + seconds}} | more))


def untimed(**more: Any) -> dict[str, Any]:
    """A trajectory without times."""
    return answered(**({"start_time": None, "end_time": None} | more))


def audited(root: Path, *rules: str) -> Audit:
    """Import it, and ask these rules, or all."""
    state = root.parent / f"{root.name}-state"
    imported(root, state)
    return audit(collect((), state), state, rules)
