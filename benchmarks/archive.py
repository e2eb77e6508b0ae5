"""How fast a folder of runs is imported and asked, against reading every byte and parsing every JSON value of it.

FOLDER holds attempts of the earlier harness. Its attempts are copied under changed names, with changed ids, times and
some bytes, until there are so many; then, each in a process of its own: the floor, a cold import, a second import, and
the commands that look at what was imported. Files are in the page cache throughout, the floor's too. A command's memory
is the most that it and the processes it started held together, pages they share counted in each. With --damage, so many
files are spoiled first: then it counts that every command ends well, and what of the damage is told.

usage: uv run python benchmarks/archive.py FOLDER [--attempts N] [--times N] [--damage N] [--json]
"""

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from archive_damage import spoil

_FLOOR = """
import pathlib, sys
try:
    from orjson import loads
except ImportError:
    from pydantic_core import from_json as loads
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        data = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            for part in data.splitlines() if path.suffix == ".jsonl" else [data]:
                try:
                    loads(part)
                except ValueError:
                    pass
"""
_SPEEDPROOF = (sys.executable, "-c", "from speedproof.cli import main; main()")
ASKED: dict[str, tuple[int, ...]] = {"audit": (0, 1), "analyze": (0,), "errors": (0,), "catalog": (0,)}
"""Commands that look at what was imported, with the exit codes of a good end: audit ends with 1 when it finds a lot."""
WANTED: dict[str, tuple[str, float]] = {
    "cold import": ("floors", 6.0),
    "second import": ("seconds", 1.0),
    "audit": ("seconds", 2.0),
    "analyze": ("seconds", 2.0),
}
MOST_MB = 1024.0


@dataclass(frozen=True)
class Taken:
    """What one process took, the fastest of several."""

    seconds: float
    megabytes: float
    code: int


def replicate(source: Path, target: Path, wanted: int) -> tuple[list[str], int, int]:
    """Copy attempts until there are so many: their folders, and the number and bytes of the files written."""
    folders = sorted({path.parent for path in source.rglob("prompt.json")})
    written: list[str] = []
    files = size = 0
    for number in range(wanted):
        folder = folders[number % len(folders)]
        turn = number // len(folders)
        place = target / f"copy-{turn:03d}" / folder.relative_to(source)
        place.mkdir(parents=True)
        written.append(str(place.relative_to(target)))
        for file in folder.iterdir():
            data = file.read_bytes()
            if file.name == "journal.json":
                data = re.sub(rb'("written": \d{7})\d{3}', rb"\g<1>" + b"%03d" % turn, data)
            elif turn:
                data = data.replace(b"call_", f"call_{turn}".encode())
            (place / file.name).write_bytes(data)
            files, size = files + 1, size + len(data)
    return written, files, size


def _missed(folders: list[str], records: Path) -> dict[str, list[str]]:
    """Folders of attempts that were spoiled until none was left, each with what the import says of its files."""
    found = {json.loads(line)["folder"] for line in (records / "attempts.jsonl").read_text().splitlines()}
    missed: dict[str, list[str]] = {folder: [] for folder in folders if folder not in found}
    for line in (records / "problems.jsonl").read_text().splitlines():
        problem = json.loads(line)
        folder, _, name = problem["path"].rpartition("/")
        if folder in missed:
            missed[folder].append(f"{name}: {problem['why']}")
    return missed


def measured(command: tuple[str, ...], good: tuple[int, ...] = (0,)) -> Taken:
    """Run a command to its end. Raises SystemExit, with what it said, when that is no good one."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        most = 0
        while child.poll() is None:
            most = max(most, _held(child.pid))
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.02)
        seconds = time.monotonic() - began
        if child.returncode not in good:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{said.read()[-2000:].decode(errors='replace')}")
    return Taken(seconds, most / 2**20, child.returncode)


def _held(pid: int) -> int:
    """Bytes of memory that a process and its children hold; 0 once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_held(int(child)) for child in children)


def measure(source: Path, attempts: int, times: int, damage: int, scratch: Path) -> dict[str, Any]:
    """All figures. A command that does not exist has null."""
    archive = scratch / "archive"
    folders, files, size = replicate(source, archive, attempts)
    spoiled = spoil(archive, damage) if damage else {}
    floors = [measured((sys.executable, "-c", _FLOOR, str(archive))) for _ in range(times if not damage else 0)]
    took: dict[str, list[Taken]] = {"cold import": [], "second import": []}
    for number in range(times):
        state = str(scratch / f"state{number}")
        command = (*_SPEEDPROOF, "import", str(archive), "--state", state)
        took["cold import"].append(measured(command))
        took["second import"].append(measured(command))
    for name, good in ASKED.items():
        if not _is_there(name):
            took[name] = []
            continue
        asking = (*_SPEEDPROOF, name, "--state", str(scratch / "state0"))
        took[name] = [measured(asking, good) for _ in range(times)]
    (manifest,) = (scratch / "state0" / "archives").glob("*/archive.json")
    found = json.loads(manifest.read_text())
    missed = _missed(folders, manifest.parent)
    return {
        "attempts": attempts,
        "files": files,
        "bytes": size,
        "parser": _parser(),
        "spoiled": spoiled,
        "missed": missed,
        "imported": {name: found[name] for name in ("attempts", "skipped", "broken", "damaged")},
        "floor": _best(floors),
        "commands": {name: _best(some) for name, some in took.items()},
    }


def _best(some: list[Taken]) -> dict[str, Any] | None:
    return asdict(min(some, key=lambda taken: taken.seconds)) if some else None


def _is_there(name: str) -> bool:
    return subprocess.run([*_SPEEDPROOF, name, "--help"], capture_output=True, check=False).returncode == 0


def _parser() -> str:
    name = "orjson" if find_spec("orjson") else "pydantic_core"
    return f"{name} {importlib.metadata.version(name)}"


def verdicts(result: dict[str, Any]) -> dict[str, bool | None]:
    """For each command with a limit, and for memory: whether it holds; null where it was not measured."""
    found: dict[str, bool | None] = {}
    for name, (unit, most) in WANTED.items():
        taken, floor = result["commands"][name], result["floor"]
        if taken is None or (unit == "floors" and floor is None):
            found[name] = None
        else:
            found[name] = taken["seconds"] / (floor["seconds"] if unit == "floors" else 1) <= most
    held = [taken["megabytes"] for taken in result["commands"].values() if taken is not None]
    return found | {"memory": max(held) <= MOST_MB, "nothing in silence": all(result["missed"].values())}


def table(result: dict[str, Any]) -> str:
    """The figures, with what is wanted and what we got."""
    size = f"{result['attempts']:,} attempts, {result['files']:,} files, {result['bytes'] / 1e6:,.0f} MB"
    lines = [f"{size}; the floor parses with {result['parser']}"]
    if result["spoiled"]:
        lines.append(f"spoiled: {', '.join(f'{times} {name}' for name, times in result['spoiled'].items())}")
    lines.append(f"told by the import: {', '.join(f'{times:,} {name}' for name, times in result['imported'].items())}")
    lines += [f"no attempt any more: {folder} ({'; '.join(said)})" for folder, said in result["missed"].items()]
    lines.append(f"{'':16}{'seconds':>10}{'floors':>10}{'MB':>10}{'wanted':>16}{'':>10}")
    floor, held = result["floor"], verdicts(result)
    if floor is not None:
        lines.append(f"{'floor':16}{floor['seconds']:>10.2f}{1:>10.1f}{floor['megabytes']:>10.0f}")
    for name, taken in result["commands"].items():
        if taken is None:
            lines.append(f"{name:16}{'not there':>10}")
            continue
        floors = "–" if floor is None else f"{taken['seconds'] / floor['seconds']:.1f}"
        unit, most = WANTED.get(name, ("", 0.0))
        wanted = f"≤ {most:g} {unit}" if unit else ""
        said = {True: "holds", False: "fails", None: ""}[held.get(name)]
        lines.append(f"{name:16}{taken['seconds']:>10.2f}{floors:>10}{taken['megabytes']:>10.0f}{wanted:>16}{said:>10}")
    lines.append(f"{'memory':16}{'':30}{f'≤ {MOST_MB:.0f} MB each':>16}{'holds' if held['memory'] else 'fails':>10}")
    failing = [name for name, holds in held.items() if holds is False]
    open_ = [name for name, holds in held.items() if holds is None]
    verdict = f"fails: {', '.join(failing)}" if failing else "every limit that was measured holds"
    left = f"; not measured: {', '.join(open_)}" if open_ else ""
    lines.append(f"verdict: {verdict}{left}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, clean up; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempts", type=int, default=2000)
    parser.add_argument(
        "--times", type=int, default=3, help="the best of so many floors, imports and questions is taken"
    )
    parser.add_argument(
        "--damage", type=int, default=0, help="spoil so many files first; then nothing is held to a floor"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="speedproof-archive-"))
    try:
        result = measure(given.folder.resolve(), given.attempts, given.times, given.damage, scratch)
    finally:
        shutil.rmtree(scratch)
    found = verdicts(result)
    print(json.dumps(result | {"verdicts": found}) if given.json else table(result))
    return int(False in found.values())


if __name__ == "__main__":
    sys.exit(main())
