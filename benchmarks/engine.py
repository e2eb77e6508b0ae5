"""What the engine adds: sealed no-op attempts a second, two at a time, and how long a run of 10,000 items is looked at.

Beside it, in the same call and on the same repository (5,000 files, 80 MB): a loop of `git worktree add` and `git
worktree remove`, and Inspect AI on as many trivial samples in its local sandbox, which prepares no repository and
isolates nothing. Inspect is measured twice: two samples in two sandboxes (before each it then waits a random time of
up to a second), and two samples without a limit of sandboxes. Rates are of the attempts alone, from the run's own
events (Inspect: from its log), and of the whole, with start-up, preparation and judging. The task has neither tests nor
workload, so little is judged. CPU is user and system time of the process and all it started.

`resume` and `status` are whole processes, started after one that compiled their modules, on a run written with the
journal's own writers. It is finished; one that was killed when only the last line of its log was missing makes `resume`
look for what is not judged and write the report, which takes longer and is shown beside it.

usage: uv run python benchmarks/engine.py [--rounds N] [--attempts N] [--files N] [--items N] [--json]
"""

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from attempt import make_repository, noop_suite

from speedproof.errors import EnvironmentFailed
from speedproof.execution.engine import execute_run
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.setup import Setup
from speedproof.journal import ItemPlan, Method, RunStore, Store
from speedproof.journal.events import AttemptBegan, AttemptSealed, Event, Judged, JudgingBegan, RunBegan
from speedproof.journal.store import new_run_id
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache
from speedproof.workspace.environment import build_environment

JOBS = 2
REQUIREMENT = "inspect-ai"
TREES = 6
"""Work trees a round: each takes as long as many attempts."""
INSPECT = {
    "inspect": {"max_samples": JOBS, "max_sandboxes": JOBS},
    "inspect_free": {"max_samples": JOBS},
}
NAMES = {
    "speedproof": "no-op attempts, sealed",
    "worktree": "git worktree add, remove",
    "inspect": f"Inspect AI, {JOBS} samples, {JOBS} sandboxes",
    "inspect_free": f"Inspect AI, {JOBS} samples",
}
TIMES = {"status_s": 5, "resume_s": 5, "resume_report_s": 1}
"""How often each command is run, after a first time."""
WANTED_TREES, WANTED_INSPECT, WANTED_S = 5, 2, 2.0


@dataclass(frozen=True)
class Taken:
    """One arm of one round: how many, the seconds of these, of the whole, and of all processors."""

    number: int
    seconds: float
    whole_s: float
    cpu_s: float


@dataclass
class Watched:
    """The audience of a run: when its parts began, and what had been used by then."""

    began: dict[str, tuple[float, float]] = field(default_factory=dict)

    def stage(self, what: str) -> None:
        """Nobody is told."""

    def judging(self, task: str, what: str) -> None:
        """Nobody is told."""

    def event(self, event: Event) -> None:
        """Note when."""
        self.began[event.event] = (time.perf_counter(), cpu())


def cpu() -> float:
    """Processor seconds of this process and of all that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


# The arms.


def attempts(loaded: LoadedSuite, items: tuple[ItemPlan, ...], folder: Path) -> tuple[Taken, RunStore]:
    """A run of these items, and its record."""
    watched, begin = Watched(), time.perf_counter()
    run = execute_run(
        loaded,
        items,
        Setup(jobs=JOBS),
        state=folder / "state",
        cache=Cache(folder / "cache"),
        method=Method(),
        settings={},
        audience=watched,
    )
    whole_s = time.perf_counter() - begin
    sealed = [event for event in run.events()[0] if isinstance(event, AttemptSealed)]
    if len(sealed) != len(items) or any(event.run != "completed" for event in sealed):
        raise SystemExit(f"not every attempt completed: {sealed}")
    (at, used), (ended, used_by_then) = watched.began["run_began"], watched.began["judging_began"]
    return Taken(len(items), ended - at, whole_s, used_by_then - used), run


def trees(repository: Path, folder: Path) -> Taken:
    """Work trees, one after the other."""
    place = str(folder / "worktree")
    begin, used = time.perf_counter(), cpu()
    for _ in range(TREES):
        for arguments in (("add", "--quiet", "--detach", place, "HEAD~1"), ("remove", "--force", place)):
            subprocess.run(["git", "worktree", *arguments], cwd=repository, check=True)
    seconds = time.perf_counter() - begin
    return Taken(TREES, seconds, seconds, cpu() - used)


def inspect(python: Path, samples: int, limits: dict[str, int], folder: Path) -> Taken:
    """So many samples by Inspect."""
    script = Path(__file__).with_name("engine_inspect.py")
    logs = Path(tempfile.mkdtemp(dir=folder))
    variables = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    begin, used = time.perf_counter(), cpu()
    done = subprocess.run(
        [python, script, str(samples), json.dumps(limits), logs],
        env=variables,
        cwd=logs,
        capture_output=True,
        text=True,
        check=False,
    )
    whole_s = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"Inspect AI failed: {done.stderr[-2000:] or done.stdout[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    seconds = datetime.fromisoformat(told["last"]) - datetime.fromisoformat(told["first"])
    return Taken(samples, seconds.total_seconds(), whole_s, cpu() - used)


# A run of many items.


@patch("os.fsync", lambda _: None)  # the disk is not what is measured
def big_run(source: RunStore, items: tuple[ItemPlan, ...], root: Path, *, whole: bool) -> RunStore:
    """A run of these items with the record of the first attempt of `source` for each; `whole`: with its last line."""
    template = next(source.attempts())
    record, status, evaluations = template.read(), template.status(_rules(source)), template.evaluations()
    others = {p.name: p.read_bytes() for p in template.folder.iterdir() if p.is_file() and p.name != "attempt.json"}
    assert status is not None
    run = Store(root).create_run(source.manifest().model_copy(update={"id": new_run_id(), "items": items}))
    (sealed,) = [e for e in source.events()[0] if isinstance(e, AttemptSealed) and e.item == record.item]
    log = run.open_events()
    log.append(RunBegan(at=sealed.at, pid=os.getpid(), jobs=JOBS, resumed=False))
    for item in items:
        store = run.new_attempt(item.id)
        log.append(AttemptBegan(at=sealed.at, item=item.id, number=1))
        for name, content in others.items():
            (store.folder / name).write_bytes(content)
        store.write(record.model_copy(update={"run": run.id, "item": item.id, "sample": item.sample}))
        store.write_status(status)
        for evaluation in evaluations:
            store.add_evaluation(evaluation)
        log.append(sealed.model_copy(update={"item": item.id}))
    log.append(JudgingBegan(at=sealed.at))
    if whole:
        log.append(Judged(at=sealed.at))
    log.close()
    return run


def _rules(run: RunStore) -> str:
    return next(event.rules for event in run.events()[0] if isinstance(event, AttemptSealed))


def command_s(folder: Path, *words: str) -> float:
    """Wall seconds of a command of ours, as a process of its own."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", "from speedproof.cli import main; main()", *words],
        env={
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "SPEEDPROOF_CACHE": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"speedproof {' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return seconds


# The measurement.


def measure(rounds: int, number: int, files: int, many: int, folder: Path) -> dict[str, Any]:
    """All figures, as `--json` prints them; null for an arm that is not there."""
    repository = make_repository(folder, files)
    loaded = noop_suite(folder)
    plan = plan_items(loaded, loaded.suite.tasks, [Lane("patch", None, "noop")], max(number, many))
    python = version = missing = None
    try:
        environment = build_environment([REQUIREMENT], None, Cache(), lambda told: print(told, file=sys.stderr))
        python = environment.folder / "bin" / "python"
        ask = f"import importlib.metadata as m; print(m.version({REQUIREMENT!r}))"
        version = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    except EnvironmentFailed as error:
        missing = str(error)
    runs: list[RunStore] = []

    def ours() -> Taken:
        taken, run = attempts(loaded, plan[:number], folder)
        runs.append(run)
        return taken

    arms: dict[str, Callable[[], Taken]] = {"speedproof": ours, "worktree": lambda: trees(repository, folder)}
    if python is not None:
        for name, limits in INSPECT.items():
            arms[name] = lambda limits=limits: inspect(python, number, limits, folder)  # type: ignore[misc]
    attempts(loaded, plan[:JOBS], folder)  # prepares the base once
    found: list[dict[str, Taken]] = []
    for taken in range(1, rounds + 1):
        print(f"round {taken} of {rounds}", file=sys.stderr)
        found.append({name: arms[name]() for name in random.sample(list(arms), len(arms))})
    return {
        "rounds": rounds,
        "attempts": number,
        "files": files,
        "items": many,
        "root": os.geteuid() == 0,
        "inspect": version,
        "inspect_missing": missing,
        "arms": {name: _summary([figures[name] for figures in found]) if name in arms else None for name in NAMES},
        "times_worktree": _times(found, "worktree"),
        "times_inspect": _times(found, "inspect") if python is not None else None,
        "times_inspect_free": _times(found, "inspect_free") if python is not None else None,
        **_looked_at(runs[-1], plan[:many], folder),
    }


def _summary(found: list[Taken]) -> dict[str, float]:
    return {
        "per_s": statistics.median(taken.number / taken.seconds for taken in found),
        "whole_per_s": statistics.median(taken.number / taken.whole_s for taken in found),
        "cpu_s": statistics.median(taken.cpu_s / taken.number for taken in found),
    }


def _times(found: list[dict[str, Taken]], other: str) -> float:
    """How many times as many of ours a second, by the rate of the attempts alone."""

    def rate(taken: Taken) -> float:
        return taken.number / taken.seconds

    return statistics.median(rate(figures["speedproof"]) / rate(figures[other]) for figures in found)


def _looked_at(source: RunStore, items: tuple[ItemPlan, ...], folder: Path) -> dict[str, float]:
    print(f"writing runs of {len(items):,} items", file=sys.stderr)
    root = folder / "many"
    whole, cut = (big_run(source, items, root, whole=whole).id for whole in (True, False))
    state = ("--state", str(root))
    last = root / "runs" / cut / "events.jsonl"
    log = last.read_bytes()
    commands = {
        "status_s": ("status", whole, *state),
        "resume_s": ("resume", whole, *state),
        "resume_report_s": ("resume", cut, *state),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for name, words in commands.items():
        for taken in range(TIMES[name] + 1):
            last.write_bytes(log)
            took = command_s(folder, *words)
            if taken:  # the first compiles what it loads
                seconds[name].append(took)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(result: dict[str, Any]) -> str:
    """The figures, with what is wanted and what we got."""
    what = f"{result['attempts']} attempts, as many samples, {TREES} work trees"
    lines = [
        f"{result['files']:,} files, {result['rounds']} rounds of {what}; medians",
        f"Inspect AI {result['inspect'] or 'not there'}; as root: {result['root']}",
        f"{'':40}{'a second':>12}{'whole':>12}{'CPU s each':>12}",
    ]
    for name, label in NAMES.items():
        arm = result["arms"][name]
        cells = ["–"] * 3 if arm is None else [f"{arm[key]:.2f}" for key in ("per_s", "whole_per_s")]
        cells += [] if arm is None else [f"{arm['cpu_s']:.3f}"]
        lines.append(f"{label:40}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append(f"{'':40}{'wanted':>12}{'got':>12}")
    for key, other, least in (
        ("times_worktree", "worktree", WANTED_TREES),
        ("times_inspect", "inspect", WANTED_INSPECT),
        ("times_inspect_free", "inspect_free", None),
    ):
        shown = "–" if result[key] is None else f"{result[key]:.2f}"
        lines.append(f"{'× ' + NAMES[other]:40}{'–' if least is None else f'≥ {least}':>12}{shown:>12}")
    for key, label, most in (
        ("status_s", "status", WANTED_S),
        ("resume_s", "resume", WANTED_S),
        ("resume_report_s", "resume with a report", None),
    ):
        row = f"{label}, {result['items']:,} items (s)"
        lines.append(f"{row:40}{'–' if most is None else f'≤ {most}':>12}{result[key]:>12.2f}")
    if result["inspect_missing"]:
        lines.append(f"Inspect AI was not measured: {result['inspect_missing']}")
    return "\n".join(lines)


def main() -> None:
    """Measure in a temporary folder, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--attempts", type=int, default=60, help="of a round")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--items", type=int, default=10_000, help="of the run that resume and status look at")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="speedproof-benchmark-"))
    try:
        result = measure(arguments.rounds, arguments.attempts, arguments.files, arguments.items, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result) if arguments.json else table(result))


if __name__ == "__main__":
    main()
