"""Whether a run can be lost: hundreds of items against a provider that fails at random, killed and resumed.

Real agents, a small one, and controls attempt small tasks through a provider in a process of its own, whose faults are
drawn by a seed. The run, started as a person starts it, is killed with SIGKILL at random moments, in the middle of
attempts or while it gets ready, and taken up with `speedproof resume`, until it is over. Then every item must be done,
every attempt that did not complete must have the diagnosis of the fault that it met, no item may have been attempted
again without a reason on record, every line of the provider's ledger must be matched by a call on record with the same
usage, and no process, mount, control group or folder of work may be left. Exit code 1 where any of it is not so.

--equivalence: instead, the same items one at a time and --jobs at a time, through a provider that answers a limited
number of requests a second, must end with the same outcomes.

usage: uv run python benchmarks/batch.py [--items 300] [--kills 20] [--jobs 2] [--seed N] [--agents codex,claude,mini]
    [--fates NAME,…] [--equivalence] [--per-second N] [--keep FOLDER] [--json]
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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from batch_check import Finding, Outcome, check, left_behind, outcomes
from batch_provider import FATES, RATE_LIMIT

from speedproof.execution.faults import make_suite
from speedproof.journal import RunStore, Store
from speedproof.journal.events import AttemptSealed, Judged
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache

HERE = Path(__file__).parent
PROGRAM = (sys.executable, "-c", "from speedproof.cli import main; main()")
MODELS = ("own/m1", "other/m2")
"""Of two providers, so that one that serves no more calls does not hold back the other's lanes."""
CONTROLS = ("patch:noop", "patch:expert")
MOST_STARTS = 60
"""Processes beyond those that were killed: a provider that serves no more calls ends a run, and one may resume it."""
_TEMPLATE = """\
format: speedproof/agent/1
name: {name}
protocol: chat
argv: [python3, /opt/agent/batch_agent.py, "{{prompt_file}}", "{{home}}/report.jsonl", {name}]
env: {{BASE_URL: "{{base_url}}", KEY: "{{token}}", MODEL: "{{model}}"}}
mounts: {{/opt/agent/batch_agent.py: {program}}}
outcome: {{file: report.jsonl, finished: {{field: status, equals: done}}, message: words, error: error}}
"""


@dataclass
class Batch:
    """One run and the folder in which everything of it lies."""

    folder: Path
    """Its own; the cache is in it, too."""
    agents: Sequence[str]
    """Real ones."""
    items: int
    """How many there are to be."""
    jobs: int
    seed: int
    harnesses: list[int] = field(default_factory=list)
    """Process ids of all that worked on it."""
    kills: int = 0
    small: list[str] = field(default_factory=list)
    """Names of the small agents."""
    said: str = ""
    """What the last process said."""

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def run(self) -> RunStore | None:
        """Null before the run is made."""
        runs = Store(self.folder / "state").runs()
        return runs[-1] if runs else None

    def prepare(self) -> None:
        """The suite and the small agents: as many tasks as make up the items with them."""
        self.cache.mkdir(parents=True)
        if (installed := Cache().root / "agents").is_dir():
            (self.cache / "agents").symlink_to(installed)
        self.small = [f"small-{number}" for number in range(1, 1 + max(1, 2 * len(self.agents)))]
        lanes = len(MODELS) * (len(self.small) + len(self.agents)) + len(CONTROLS)
        if self.items % lanes:
            raise SystemExit(f"{self.items} items cannot be made up of {lanes} lanes; give a multiple")
        for name in self.small:
            (self.folder / f"{name}.yaml").write_text(_TEMPLATE.format(name=name, program=HERE / "batch_agent.py"))
        file = make_suite(self.folder, Cache(self.cache), Limits(wall_s=120, idle_s=60))
        suite = json.loads(file.read_text())
        (task,) = suite["tasks"]
        cases = [f"case-{number:04d}" for number in range(self.items // lanes)]
        told = "Make squares() faster for large counts"
        suite["tasks"] = [task | {"name": case, "instructions": f"{told} ({case}).\n"} for case in cases]
        file.write_text(json.dumps(suite))

    def start(self, port: int) -> subprocess.Popen[str]:
        """A process that begins the run, or takes it up."""
        words = ["resume", self.run.id] if self.run is not None else self._run_words(port)
        env = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
        env |= {"SPEEDPROOF_CACHE": str(self.cache), "NO_COLOR": "1", "NO_PROXY": "127.0.0.1"}
        with (self.folder / "said.log").open("w") as said:
            process = subprocess.Popen(
                [*PROGRAM, *words],
                cwd=self.folder,
                env=env,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.harnesses.append(process.pid)
        return process

    def _run_words(self, port: int) -> list[str]:
        agents = [*(f"command:{name}.yaml" for name in self.small), *self.agents, *CONTROLS]
        words = ["run", "suite.yaml", "--base-url", f"http://127.0.0.1:{port}/v1", "--jobs", str(self.jobs)]
        words += [word for agent in agents for word in ("--agent", agent)]
        return [*words, *(word for model in MODELS for word in ("--model", model))]

    def sealed(self) -> int:
        """How many attempts the scheduler's log has sealed."""
        log = None if self.run is None else self.run.folder / "events.jsonl"
        return log.read_bytes().count(b'"attempt_sealed"') if log is not None and log.exists() else 0

    def over(self) -> bool:
        """Whether nothing is left to do."""
        if self.run is None:
            return False
        events, _ = self.run.events()
        done = {o.item for o in outcomes(self.run) if o.state == "done"}
        return bool(events) and isinstance(events[-1], Judged) and len(done) == self.items

    def carry_out(self, port: int, kills: int, told: bool = False) -> None:
        """Begin, kill, resume, until nothing is left to do. Raises SystemExit when that does not come about."""
        draw = random.Random(self.seed)
        for _ in range(kills + MOST_STARTS):
            process = self.start(port)
            ended = self._killed(process, draw, kills) if self.kills < kills else process.wait() is not None
            self.said = (self.folder / "said.log").read_text(errors="replace")
            if told:
                how = f"exit code {process.returncode}" if ended else "killed"
                print(f"process {len(self.harnesses)}: {how}, {self.sealed()} attempts sealed", file=sys.stderr)
            if process.returncode == 2 or "Traceback" in self.said:
                raise SystemExit(f"process {len(self.harnesses)} gave up: {self.said[-3000:]}")
            if ended and self.over():
                return
        raise SystemExit(f"the run does not come to its end: {self.said[-3000:]}")

    def _killed(self, process: "subprocess.Popen[str]", draw: random.Random, kills: int) -> bool:
        """Kill it at a random moment: some while after its start, or after a random number of attempts. Returns True
        when it ended before that."""
        until = time.monotonic() + draw.uniform(0, 5)
        more = 0 if draw.random() < 0.3 else draw.randint(1, max(1, round(1.2 * self.items / (kills + 1))))
        wanted = self.sealed() + more
        while process.poll() is None and (self.sealed() < wanted if more else time.monotonic() < until):
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.6) if more else 0)
        if process.poll() is not None:
            return True
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.kills += 1
        return False


@contextmanager
def provider(folder: Path, seed: int, fates: Sequence[str], per_second: float | None = None) -> Iterator[int]:
    """A provider in a process of its own, with its ledger in `folder`; its port."""
    words = [sys.executable, str(HERE / "batch_provider.py"), str(folder / "ledger.jsonl"), "--seed", str(seed)]
    words += ["--fates", ",".join(fates), *([] if per_second is None else ["--per-second", str(per_second)])]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate()


def killed_and_resumed(batch: Batch, fates: Sequence[str], kills: int) -> tuple[dict[str, int | float], list[Finding]]:
    """Figures of the run, and what is not as it must be."""
    batch.prepare()
    began = time.monotonic()
    with provider(batch.folder, batch.seed, fates) as port:
        batch.carry_out(port, kills, told=True)
    run = batch.run
    assert run is not None
    figures, findings = check(run, batch.folder / "ledger.jsonl", batch.items)
    findings += left_behind(batch.folder, batch.cache, batch.harnesses)
    if batch.kills < kills:
        findings.append(Finding("kills", f"the run was over after {batch.kills} of {kills} kills"))
    own: dict[str, int | float] = {"kills": batch.kills, "processes": len(batch.harnesses)}
    return {**own, "seconds": round(time.monotonic() - began, 1), **figures}, findings


def equivalent(
    both: Sequence[Batch], fates: Sequence[str], per_second: float
) -> tuple[dict[str, float], list[Finding]]:
    """Figures of the same items, one at a time and several, and the items whose outcomes differ. Both runs are carried
    out at once, each with a provider of its own."""

    def carry_out(batch: Batch) -> tuple[float, RunStore]:
        batch.prepare()
        began = time.monotonic()
        with provider(batch.folder, batch.seed, fates, per_second) as port:
            batch.carry_out(port, 0)
        assert batch.run is not None
        return round(time.monotonic() - began, 1), batch.run

    found: list[dict[str, Outcome]] = []
    figures: dict[str, float] = {}
    with ThreadPoolExecutor() as pool:
        for batch, (seconds, run) in zip(both, pool.map(carry_out, both), strict=True):
            found.append({outcome.item: outcome for outcome in outcomes(run)})
            figures[f"seconds_with_{batch.jobs}_jobs"] = seconds
            sealed = [event for event in run.events()[0] if isinstance(event, AttemptSealed)]
            figures[f"attempts_with_{batch.jobs}_jobs"] = len(sealed)
            ledger = (batch.folder / "ledger.jsonl").read_text()
            figures[f"refused_for_their_rate_with_{batch.jobs}_jobs"] = ledger.count(f'"{RATE_LIMIT}"')
    one, many = found
    figures["items"] = len(one)
    differ = [item for item in sorted(one.keys() | many.keys()) if one.get(item) != many.get(item)]
    return figures, [Finding("outcome", f"{one.get(item)} alone, {many.get(item)} among others") for item in differ]


def main() -> None:
    """Carry it out and print what was found; exit code 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000), help="default: any")
    parser.add_argument("--agents", default="codex,claude,mini", help="real ones, or none")
    parser.add_argument("--fates", default=",".join(FATES))
    parser.add_argument("--equivalence", action="store_true")
    parser.add_argument("--per-second", type=float, default=20.0, help="of the provider, with --equivalence")
    parser.add_argument("--keep", type=Path, help="a folder that does not exist yet, in which everything stays")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    agents = [] if given.agents == "none" else given.agents.split(",")
    fates = given.fates.split(",")
    folder = given.keep or Path(tempfile.mkdtemp(prefix="speedproof-batch-"))
    folder.mkdir(parents=True, exist_ok=given.keep is None)
    folder = folder.resolve()
    try:
        if given.equivalence:
            both = [Batch(folder / str(jobs), agents, given.items, jobs, given.seed) for jobs in (1, given.jobs)]
            figures, findings = equivalent(both, fates, given.per_second)
        else:
            batch = Batch(folder / "batch", agents, given.items, given.jobs, given.seed)
            figures, findings = killed_and_resumed(batch, fates, given.kills)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        print(json.dumps({"seed": given.seed, **figures, "findings": [vars(finding) for finding in findings]}))
    else:
        for name, value in {"seed": given.seed, **figures}.items():
            print(f"{name.replace('_', ' '):44}{value:>10,}")
        for finding in findings:
            print(f"WRONG  {finding.what}: {finding.said}")
        print("all as it must be" if not findings else f"{len(findings)} things are not as they must be")
    raise SystemExit(bool(findings))


if __name__ == "__main__":
    main()
