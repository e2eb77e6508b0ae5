"""What an attempt costs beside the agent: a no-op attempt, from start to sealed record, on a 5,000-file repository.

The baseline, run in the same call and in turn with it, is `git worktree add` and `git worktree remove` of the same
commit. Seconds are wall time; CPU is user and system time of this process and everything it started.

usage: uv run python benchmarks/attempt.py [--rounds N] [--files N] [--json]
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from speedproof.execution.attempt import run_attempt
from speedproof.execution.host import host_facts
from speedproof.execution.plan import Lane, plan_items
from speedproof.execution.preflight import make_ready
from speedproof.execution.stop import Stop
from speedproof.gateway import Gateway
from speedproof.journal import Method, RunManifest, Store
from speedproof.journal.base import now
from speedproof.journal.store import new_run_id
from speedproof.sandbox import Bubblewrap
from speedproof.tasks.suite import LoadedSuite, load_suite
from speedproof.workspace.cache import Cache

BYTES_A_FILE = 16 << 10


def make_repository(folder: Path, files: int) -> Path:
    """A repository of `files` files of 16 KiB, about 80 MB for 5,000, and a second commit that changes one."""
    repository = folder / "repository"
    repository.mkdir()
    line = "x = 'Speedproof measures what it claims, and says how it was measured.'  # padding\n"
    for number in range(files):
        package = repository / f"package{number // 100:03d}"
        package.mkdir(exist_ok=True)
        text = f"NUMBER = {number}\n" + line * (BYTES_A_FILE // len(line))
        (package / f"module{number % 100:03d}.py").write_text(text)
    commands = ("init --quiet", "add -A", "commit --quiet -m base")
    for command in commands:
        _git(repository, *command.split())
    (repository / "package000/module000.py").write_text("NUMBER = 1\n")
    _git(repository, "commit", "--quiet", "-a", "-m", "expert")
    return repository


def _git(repository: Path, *arguments: str) -> None:
    settings = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "-c", "gc.auto=0")
    subprocess.run(["git", *settings, *arguments], cwd=repository, check=True)


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of `work`, its children included."""
    before, began = _cpu(), time.perf_counter()
    work()
    return time.perf_counter() - began, _cpu() - before


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def main() -> None:
    """Measure both in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="speedproof-benchmark-"))
    try:
        result = measure(folder, arguments.rounds, arguments.files)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{arguments.files} files, {arguments.rounds} rounds, medians; as root: {os.geteuid() == 0}")
    print(f"{'':34}{'seconds':>10}{'CPU seconds':>14}")
    for name in ("attempt", "worktree"):
        print(f"{name:34}{result[f'{name}_s']:10.3f}{result[f'{name}_cpu_s']:14.3f}")
    print(f"{'ratio (attempt / worktree)':34}{result['ratio']:10.2f}{result['cpu_ratio']:14.2f}")


def noop_suite(folder: Path) -> LoadedSuite:
    """A suite of one task on the made repository: to do nothing."""
    suite = folder / "suite.yaml"
    suite.write_text(
        "name: benchmark\n"
        "tasks:\n"
        "  - name: noop\n"
        "    source: {git: ./repository, expert: HEAD}\n"
        "    instructions: Do nothing.\n"
    )
    return load_suite(suite)


def measure(folder: Path, rounds: int, files: int) -> dict[str, float]:
    """Medians of `rounds` of each, taken in turn."""
    repository = make_repository(folder, files)
    loaded = noop_suite(folder)
    (item,) = plan_items(loaded, loaded.suite.tasks, [Lane("patch", None, "noop")])
    cache = Cache(folder / "cache")
    ready = make_ready(loaded, [item], Bubblewrap(), cache, Method())
    manifest = RunManifest(
        id=new_run_id(),
        created_at=now(),
        speedproof="benchmark",
        suite=loaded.suite.name,
        suite_file=str(loaded.file),
        suite_digest=loaded.digest(),
        host=host_facts(),
        settings={},
        method=Method(),
        items=(item,),
    )
    run = Store(folder / "state").create_run(manifest)

    def attempt() -> None:
        async def live() -> None:
            async with Gateway() as gateway:
                _, status = await run_attempt(run.new_attempt(item.id), item, ready, gateway, Stop())
                if status.run != "completed":
                    raise SystemExit(f"the attempt did not complete: {status.diagnosis}")

        asyncio.run(live())

    def worktree() -> None:
        _git(repository, "worktree", "add", "--quiet", "--detach", str(folder / "worktree"), "HEAD~1")
        _git(repository, "worktree", "remove", "--force", str(folder / "worktree"))

    attempt()  # prepares the base once, as a run does
    attempts, worktrees = [], []
    for _ in range(rounds):
        attempts.append(timed(attempt))
        worktrees.append(timed(worktree))
    medians = {
        f"{name}_{unit}": statistics.median(values[i] for values in taken)
        for name, taken in (("attempt", attempts), ("worktree", worktrees))
        for i, unit in enumerate(("s", "cpu_s"))
    }
    return {
        **medians,
        "ratio": medians["attempt_s"] / medians["worktree_s"],
        "cpu_ratio": medians["attempt_cpu_s"] / medians["worktree_cpu_s"],
        "rounds": rounds,
        "files": files,
    }


if __name__ == "__main__":
    main()
