"""Do verdicts hold when they are repeated? The expert's and a no-op patch, judged again and again on both suites.

Every round is a run of its own: fresh workspaces, fresh arms, fresh seeds. The expert's patch must come out faster each
time, the no-op never.

usage: uv run python benchmarks/verdicts.py [--rounds N] [--max-blocks N] [--suite FILE ...] [--json]
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from speedproof.analysis import rows
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.setup import Setup
from speedproof.execution.work import Audience
from speedproof.journal import Method
from speedproof.journal.events import AttemptSealed, Event
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache

SUITES = [Path(__file__).parents[1] / "examples" / name / "suite.yaml" for name in ("pypi", "vllm")]


@dataclass(frozen=True)
class Line:
    """What fell for one task and patch over all rounds."""

    task: str
    patch: str
    verdicts: dict[str, int]
    speedups: tuple[float, ...]


class Quiet(Audience):
    """Tells of attempts only."""

    def stage(self, what: str) -> None:
        """Not told."""

    def event(self, event: Event) -> None:
        """One line on stderr for each attempt."""
        if isinstance(event, AttemptSealed):
            print(f"{event.item}: {event.run}, {event.patch}", file=sys.stderr)

    def judging(self, task: str, what: str) -> None:
        """Not told."""


def one_round(suite: Path, method: Method, state: Path) -> list[tuple[str, str, str, float | None]]:
    """Task, control, speed verdict and speedup of every attempt of one run."""
    loaded = load_suite(suite)
    items = plan_items(loaded, loaded.suite.tasks, [Lane("patch", None, c) for c in ("expert", "noop")])
    run = execute_run(
        loaded,
        items,
        Setup(),
        state=state,
        cache=Cache(),
        method=method,
        settings={},
        audience=Quiet(),
    )
    return [
        (row.task, str(row.control), str(row.speed), row.speedup.speedup if row.speedup else None) for row in rows(run)
    ]


def main() -> None:
    """Repeat the rounds and print how often each verdict fell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--max-blocks", type=int)
    parser.add_argument("--suite", type=Path, action="append")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    method = Method().up_to(arguments.max_blocks)
    verdicts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    speedups: dict[tuple[str, str], list[float]] = defaultdict(list)
    state = Path(tempfile.mkdtemp(prefix="speedproof-verdicts-"))
    try:
        for number in range(1, arguments.rounds + 1):
            print(f"round {number} of {arguments.rounds}", file=sys.stderr)
            for suite in arguments.suite or SUITES:
                for task, control, speed, speedup in one_round(suite, method, state):
                    verdicts[task, control][speed] += 1
                    if speedup is not None:
                        speedups[task, control].append(speedup)
    finally:
        shutil.rmtree(state)
    found = [Line(*key, dict(counts), tuple(speedups[key])) for key, counts in verdicts.items()]
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, "looks": method.looks, "lines": [asdict(f) for f in found]}))
        return
    print(f"{arguments.rounds} rounds, at most {method.looks[-1]} blocks, α = {method.alpha:g}")
    for line in found:
        fell = ", ".join(f"{count} {name}" for name, count in line.verdicts.items())
        span = f"{min(line.speedups):8.3f} – {max(line.speedups):.3f}" if line.speedups else ""
        print(f"{line.task:24}{line.patch:8}{fell:36}{span}")


if __name__ == "__main__":
    main()
