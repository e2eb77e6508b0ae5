"""Runs killed by SIGKILL at moments drawn at random, and resumed until they end: is anything lost, or left behind?

Each run is the real command line on a small project: the expert's patch, the no-op control, and an agent that calls
the scripted model, changes a file and leaves a daemon. It is killed again and again, while it is prepared, attempted,
recovered and judged alike; the last process of it comes to its end. Then every attempt must be sealed with a status
and recorded as sealed once, what was sealed before a kill must be as it was, every item must have one attempt that was
not cut off, every file must be whole, and no process, mount, control group or workspace may be left.

Prints what was being done when the kills came; ends with exit code 1 when anything is not as it must be.

usage: uv run python benchmarks/kills.py [--kills N] [--a-run N] [--sandbox KIND] [--seed N] [--keep]
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from speedproof.diagnosis import RULES
from speedproof.execution.scratch import all_scratch
from speedproof.journal import AttemptStore, RunStore, Store
from speedproof.journal.events import AttemptSealed, Judged
from speedproof.journal.files import BadLine, read_jsonl
from speedproof.sandbox.cgroups import left_groups
from speedproof.sandbox.orphans import orphans
from speedproof.workspace.cache import Cache
from speedproof.workspace.leftovers import mounted_below

_AGENT = """import json, os, subprocess, time, urllib.request
body = json.dumps({"model": os.environ["MODEL"], "messages": [{"role": "user", "content": "go"}]}).encode()
head = {"Authorization": "Bearer " + os.environ["KEY"], "Content-Type": "application/json"}
request = urllib.request.Request(os.environ["URL"] + "/v1/chat/completions", body, head)
print(urllib.request.urlopen(request).read().decode(), flush=True)
open("tools.py", "a").write("FAST = 2\\n")
subprocess.Popen(["sleep", "300"], start_new_session=True)
time.sleep(0.3)
"""
_TEMPLATE = """format: speedproof/agent/1
name: caller
protocol: chat
stdin: prompt
argv: [/usr/bin/python3, "{home}/agent.py"]
env: {URL: "{base_url}", KEY: "{token}", MODEL: "{model}"}
files:
  agent.py: %s
"""
_SCRIPT = "format: speedproof/script/1\nturns:\n  - say: Done.\n"
_PROGRAM = (sys.executable, "-c", "from speedproof.cli import main; main()")
_SAMPLES = 4
_ITEMS = 3 * _SAMPLES


class Place:
    """A project with its suite, cache and state."""

    def __init__(self, folder: Path, sandbox: str) -> None:
        self.folder, self.sandbox = folder, sandbox
        self.cache = Cache(folder / "cache")
        repository = folder / "project"
        repository.mkdir()
        file = repository / "tools.py"
        _git(repository, "init", "--quiet")
        for text in ("def unique(items):\n    return sorted(set(items))\n", "FAST = 1\n"):
            file.write_text((file.read_text() if file.exists() else "") + text)
            _git(repository, "add", "-A")
            _git(repository, "commit", "--quiet", "-m", "a commit")
        source = {"git": str(repository), "expert": "HEAD"}
        limits = {"wall_s": 60, "idle_s": 30}
        task = {"name": "unique", "source": source, "instructions": "Make it fast.", "limits": limits}
        (folder / "suite.yaml").write_text(json.dumps({"name": "kills", "tasks": [task]}))
        (folder / "agent.yaml").write_text(_TEMPLATE % json.dumps(_AGENT))
        (folder / "script.yaml").write_text(_SCRIPT)

    def begin(self) -> subprocess.Popen[str]:
        """A new run."""
        agents = ("patch:expert", "patch:noop", "command:agent.yaml")
        words = [word for agent in agents for word in ("--agent", agent)]
        words += ["--model", "scripted:script.yaml", "--samples", str(_SAMPLES), "--jobs", "2"]
        return self._start("run", "suite.yaml", *words, "--sandbox", self.sandbox)

    def resume(self, run: RunStore) -> subprocess.Popen[str]:
        """The same run, gone on with."""
        return self._start("resume", run.id)

    def _start(self, *words: str) -> subprocess.Popen[str]:
        env = {**os.environ, "SPEEDPROOF_CACHE": str(self.cache.root), "NO_COLOR": "1"}
        return subprocess.Popen(
            [*_PROGRAM, *words],
            cwd=self.folder,
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def runs(self) -> list[RunStore]:
        """Every run, oldest first."""
        return Store(self.folder / "state").runs()


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=someone", "-c", "user.email=someone@localhost")
    subprocess.run(["git", *who, *words], cwd=folder, check=True)


class Kills:
    """The kills so far, and what was found wrong."""

    def __init__(self, place: Place, draw: random.Random) -> None:
        self.place, self.draw = place, draw
        self.number = 0
        self.takes_s = float("inf")
        """Seconds of the quickest process that nobody killed."""
        self.during: Counter[str] = Counter()
        """What the run was doing, by its last event or the stage of its attempts."""
        self.wrong: list[str] = []

    def run_once(self, most: int) -> None:
        """Begin a run, kill it up to `most` times, let it end, and look."""
        known = {run.id for run in self.place.runs()}
        sealed: dict[Path, bytes] = {}
        run: RunStore | None = None
        for _ in range(most):
            process = self.place.begin() if run is None else self.place.resume(run)
            ended = self._killed(process, self.draw.triangular(0, self.takes_s, 0.7 * self.takes_s))
            run = next((found for found in self.place.runs() if found.id not in known), None)
            if ended:
                break
            self._note(run, sealed)
        self.whole(run)
        run = next(found for found in self.place.runs() if found.id not in known)
        self._look(run, sealed)

    def whole(self, run: RunStore | None) -> None:
        """Begin a run, or go on with one, and let it come to its end."""
        began = time.monotonic()
        process = self.place.begin() if run is None else self.place.resume(run)
        _, said = process.communicate(timeout=300)
        self._require_well(process, said)
        if run is None:
            self.takes_s = min(self.takes_s, time.monotonic() - began)

    def _killed(self, process: subprocess.Popen[str], seconds: float) -> bool:
        """Kill a process after so many seconds; returns whether it had ended by itself."""
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate()
            self.number += 1
            if "Traceback" in said:
                self.wrong.append(f"before a kill: {said[-2000:]}")
            return False
        self._require_well(process, said)
        return True

    def _require_well(self, process: subprocess.Popen[str], said: str) -> None:
        if process.returncode not in {0, 1} or "Traceback" in said:
            self.wrong.append(f"exit code {process.returncode}: {said[-2000:]}")

    def _note(self, run: RunStore | None, sealed: dict[Path, bytes]) -> None:
        """Where the kill came, and what was sealed by then."""
        if run is None:
            self.during["before the run's manifest"] += 1
            return
        open_stages = []
        for store in run.attempts():
            file = store.folder / "attempt.json"
            content = file.read_bytes() if file.exists() else b""
            if not content:
                open_stages.append("without facts")
            elif store.read().state == "sealed":
                sealed.setdefault(file, content)
            else:
                open_stages.append(store.read().transitions[-1].stage)
        events = run.events()[0]
        last = events[-1].event if events else "run.json"
        self.during.update([f"an attempt {stage}" for stage in open_stages] or [f"no attempt open, after {last}"])

    def _look(self, run: RunStore, sealed: dict[Path, bytes]) -> None:
        """Whether all is as it must be."""
        wrong = [f"{file} has changed" for file, content in sealed.items() if file.read_bytes() != content]
        events = run.events()[0]
        recorded = Counter((event.item, event.number) for event in events if isinstance(event, AttemptSealed))
        stores = list(run.attempts())
        wrong += [line for store in stores for line in _wrong_with(store, recorded)]
        whole = Counter(store.folder.parent.name for store in stores if _run_status(store) != "crashed")
        if len(whole) != _ITEMS or set(whole.values()) != {1}:
            wrong.append(f"{len(whole)} of {_ITEMS} items are final; attempts that were not cut off: {dict(whole)}")
        if not events or not isinstance(events[-1], Judged):
            wrong.append("it does not end with its judging")
        wrong += [f"{path} is left" for path in run.folder.rglob("*.tmp")]
        for file in run.folder.rglob("*.jsonl"):
            wrong += [
                f"{file}:{b.line} is damaged" for b in read_jsonl(file) if isinstance(b, BadLine) and not _torn(b)
            ]
        wrong += _left(self.place)
        self.wrong += [f"run {run.id}: {line}" for line in wrong]


def _torn(line: BadLine) -> bool:
    """Whether a line was cut by a kill: the last one, or one that the next writer ended."""
    return line.torn or not line.excerpt.endswith("}")


def _run_status(store: AttemptStore) -> str:
    status = store.status(RULES)
    return "missing" if status is None else status.run


def _wrong_with(store: AttemptStore, recorded: Counter[tuple[str, int]]) -> list[str]:
    attempt, status = store.read(), store.status(RULES)
    wrong = []
    if attempt.state != "sealed" or status is None:
        return [f"{store.name} is not sealed with a status"]
    if recorded[attempt.item, attempt.number] != 1:
        wrong.append(f"{store.name} is recorded as sealed {recorded[attempt.item, attempt.number]} times")
    if status.run not in {"completed", "crashed"}:
        wrong.append(f"{store.name} is {status.run}: {status.diagnosis and status.diagnosis.message}")
    if (status.run == "crashed") != (attempt.recovered_at is not None):
        wrong.append(f"{store.name} is {status.run}, recovered at {attempt.recovered_at}")
    if any(t.stage == "running" for t in attempt.transitions) and attempt.patch is None:
        wrong.append(f"{store.name} has no patch: {[t.cause for t in attempt.transitions]}, {attempt.error}")
    if status.run == "completed" and len(store.evaluations()) != 1:
        wrong.append(f"{store.name} was judged {len(store.evaluations())} times")
    return wrong


def _left(place: Place) -> list[str]:
    """What is left on the machine of runs in this place."""
    root = f"{place.cache.root}/".encode()
    left = [f"workspace {scratch.folder}" for scratch in all_scratch(place.cache)]
    left += [f"mount {mount.point}" for mount in mounted_below(place.cache.root)]
    left += [f"process {pid}" for pid in orphans() if root in _bytes(Path(f"/proc/{pid}/environ"))]
    runs = [run.id for run in place.runs()]
    left += [f"control group {group.name}" for group in left_groups() if any(run in group.name for run in runs)]
    lines = {process.name: _bytes(process / "cmdline") for process in Path("/proc").glob("[0-9]*")}
    left += [f"process {pid}: {line[:200]!r}" for pid, line in lines.items() if root in line]
    return [f"left: {what}" for what in left]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the process ended


def main() -> None:
    """Kill, resume, look, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--a-run", type=int, default=5, help="kills of one run at most")
    parser.add_argument("--sandbox", choices=("bubblewrap", "none"), default="bubblewrap")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="keep the folder")
    chosen = parser.parse_args()
    output = Console(highlight=False, width=120)
    output.print(f"seed {chosen.seed}, sandbox {chosen.sandbox}")
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    began = time.monotonic()
    place = Place(folder, chosen.sandbox)
    kills = Kills(place, random.Random(chosen.seed))
    kills.whole(None)
    while kills.number < chosen.kills and not kills.wrong:
        kills.run_once(min(chosen.a_run, chosen.kills - kills.number))
    table = Table("the kill came during", "times", box=None, header_style="dim")
    for what, times in kills.during.most_common():
        table.add_row(what, f"{times:,}")
    output.print(table)
    attempts = [store.status(RULES) for run in place.runs() for store in run.attempts()]
    cut = sum(status is not None and status.run == "crashed" for status in attempts)
    output.print(
        f"{kills.number} kills of {len(place.runs())} runs in {time.monotonic() - began:.0f} s: "
        f"{len(attempts)} attempts, {cut} of them cut off and recovered; wrong: {len(kills.wrong)}"
    )
    for line in kills.wrong:
        output.print(f"WRONG {line}", soft_wrap=True, markup=False)
    if chosen.keep:
        output.print(f"kept: {folder}", soft_wrap=True)
    else:
        shutil.rmtree(folder)
    sys.exit(bool(kills.wrong))


if __name__ == "__main__":
    main()
