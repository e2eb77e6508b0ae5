"""Inspect AI at work on trivial samples; run by benchmarks/engine.py with the interpreter that has Inspect.

Each sample writes a file in its local sandbox and reads it back; no model is called. Prints one JSON object.

usage: python engine_inspect.py SAMPLES LIMITS FOLDER
"""

import json
import sys
import time
from pathlib import Path

BEGAN = time.perf_counter()

from inspect_ai import Task, eval  # type: ignore[import-not-found] # noqa: A004, E402
from inspect_ai.dataset import Sample  # type: ignore[import-not-found] # noqa: E402
from inspect_ai.solver import solver  # type: ignore[import-not-found] # noqa: E402
from inspect_ai.util import sandbox  # type: ignore[import-not-found] # noqa: E402


@solver
def note():  # type: ignore[no-untyped-def]
    """Write a file and read it."""

    async def solve(state, generate):  # type: ignore[no-untyped-def] # noqa: ARG001
        await sandbox().write_file("note.txt", "noted\n")
        if await sandbox().read_file("note.txt") != "noted\n":
            raise ValueError("the sandbox does not hold what was written")
        return state

    return solve


def main() -> None:
    """Evaluate SAMPLES samples under LIMITS (JSON: eval's own settings), logs under FOLDER."""
    samples, limits, folder = int(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
    task = Task(dataset=[Sample(input="Do nothing.") for _ in range(samples)], solver=note(), sandbox="local")
    (log,) = eval(task, model="mockllm/model", display="none", log_dir=str(folder), **limits)
    done = [sample for sample in log.samples or [] if sample.error is None and sample.completed_at is not None]
    if log.status != "success" or len(done) != samples:
        raise SystemExit(f"Inspect completed {len(done)} of {samples} samples: {log.error}")
    print(
        json.dumps(
            {
                "whole_s": time.perf_counter() - BEGAN,
                "first": min(sample.started_at for sample in done),
                "last": max(sample.completed_at for sample in done),
            }
        )
    )


if __name__ == "__main__":
    main()
