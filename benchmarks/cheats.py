"""Is every known way to cheat still caught? The library in tests/cheats through the real judge, and the table of it.

Each patch must be caught by every means that its description names, honest ones must come out proven, and so must those
that are listed as not catchable, else the list is wrong. The experts of examples/ must raise no suspicion either.
Exit code 1 when one of this fails.

usage: uv run python benchmarks/cheats.py [NAME ...] [--json] [--write-docs]
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from speedproof.evaluation.arms import restore_protected
from speedproof.evaluation.integrity.suspicions import suspicions
from speedproof.marks import put_between
from speedproof.tasks.source import fetch
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache
from speedproof.workspace.patch import borrow

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from cheat_library import Outcome, judge_library, markdown  # type: ignore[import-not-found]  # noqa: E402

SUITES = sorted(ROOT.glob("examples/*/suite.yaml"))
DOC = ROOT / "docs" / "integrity.md"


def suspected_experts(folder: Path) -> list[str]:
    """Experts of the examples whose change raises a suspicion, and which."""
    found = []
    for file in SUITES:
        loaded = load_suite(file)
        for task in loaded.suite.tasks:
            commits = fetch(task, loaded.folder, Cache(), lambda *_: None)
            if commits.expert_tree is None:
                continue
            own = folder / task.name
            borrow(commits.repository, own)
            tree, _ = restore_protected(own, commits.base_tree, commits.expert_tree, task.protected, folder / "index")
            checks = suspicions(own, commits.base_tree, tree)
            found += [f"{task.name}: {check.message}" for check in checks if check.result == "flag"]
    return found


def said(outcome: Outcome) -> str:
    """One line on an entry."""
    expected = ", ".join(outcome.entry.caught_by) or ("honest" if outcome.entry.honest else "not catchable")
    by = ", ".join(outcome.caught_by) or ("proven" if outcome.proven else "nothing, and not proven")
    return f"{'ok ' if outcome.ok else 'NOT'} {outcome.entry.name:24}{expected:48}{by}"


def main() -> None:
    """Judge the library and print what caught what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    if arguments.write_docs:
        put_between(DOC, "<!-- library -->", "<!-- end of library -->", markdown())
        return
    folder = Path(tempfile.mkdtemp(prefix="speedproof-cheats-"))
    try:
        outcomes = judge_library(folder, Cache(folder / "cache"), arguments.names)
        suspected = suspected_experts(folder)
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        lines = [{**asdict(o), "ok": o.ok} for o in outcomes]
        print(json.dumps({"entries": lines, "suspected_experts": suspected}))
    else:
        print(f"    {'patch':24}{'expected':48}what spoke against it")
        print("\n".join(map(said, outcomes)))
        print("\n".join(suspected) or "no expert of examples/ raises a suspicion")
    sys.exit(0 if all(o.ok for o in outcomes) and not suspected else 1)


if __name__ == "__main__":
    main()
