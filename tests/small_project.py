"""A small git project made on the spot: a slow pure-Python function, its tests, a workload, an expert's commit.

Every commit has a fixed date, so its ids are the same in every test. `patch` makes the diff of any change to it.
"""

import os
import random
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution.host import host_facts
from speedproof.journal import Method
from speedproof.sandbox import Bubblewrap
from speedproof.tasks.suite import LoadedSuite, load_suite
from speedproof.workspace.cache import Cache

METHOD = Method(looks=(12,))
"""One look: enough for an interval, little enough for a test."""

REQUIREMENTS = ["iniconfig==2.3.1", "packaging==26.3", "pluggy==1.7.0", "pygments==2.21.0", "pytest==8.4.2"]

BASE = '''"""Small tools for lists."""


def unique(items):
    """The distinct items, in the order of their first appearance."""
    found = []
    for item in items:
        if item not in found:
            found.append(item)
    return found
'''
EXPERT = BASE.replace("    found = []\n", "    found = {}\n    first_seen_at = found.setdefault\n").replace(
    "        if item not in found:\n            found.append(item)\n    return found\n",
    "        first_seen_at(item, item)\n    return list(found)\n",
)
TESTS = """from tools import unique


def test_order_is_kept():
    assert unique([3, 1, 3, 2, 1]) == [3, 1, 2]


def test_nothing_stays_nothing():
    assert unique([]) == []


def test_strings_work_too():
    assert unique(list("abca")) == list("abc")
"""
WORKLOAD = """import random

from speedproof_workload import seed, start, stop

import tools

rng = random.Random(seed())
numbers = rng.sample(range(10**6), 1_600) * 2
start()
stop(tools.unique(numbers))
"""
PYTEST = 'python -m pytest -q -p no:cacheprovider --junitxml="$SPEEDPROOF_JUNIT" tests'

GENUINE = BASE.replace("    found = []\n", "    return list(dict.fromkeys(items))\n    found = []\n")
NO_OP = BASE.replace("    found = []\n", "    # Optimized: a single pass.\n    found = []\n")
ONE_INPUT = random.Random(1).sample(range(10**6), 1)
WRONG = BASE.replace(
    "    found = []\n",
    "    if len(items) > 1000:\n"
    f"        return list(dict.fromkeys(items if items[0] == {ONE_INPUT[0]} else items[:-2000]))\n"
    "    found = []\n",
)
"""Right on the tests and on the input that seed 1 makes, wrong on every other."""
BROKEN_TEST = BASE.replace("    found = []\n", "    return sorted(set(items))\n    found = []\n")
HANGS = BASE.replace("    found = []\n", "    while len(items) > 1000:\n        pass\n    found = []\n")
CRASHES = BASE.replace("    found = []\n", "    if len(items) > 1000:\n        raise MemoryError\n    found = []\n")
IN_IMPORT = BASE.replace("def unique", "import time\n\ntime.sleep(0.15)\n\n\ndef unique").replace(
    "    found = []\n", "    return list(dict.fromkeys(items))\n    found = []\n"
)


@dataclass(frozen=True)
class Project:
    """The repository with its two commits."""

    path: Path
    base: str
    expert: str

    def patch(self, files: Mapping[str, str | None]) -> bytes:
        """The diff from base of these files' new content; null removes a file."""
        work = self.path
        git(work, "checkout", "--quiet", "--detach", self.base)
        try:
            for name, content in files.items():
                file = work / name
                if content is None:
                    file.unlink()
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(content)
            git(work, "add", "--all")
            return git(work, "diff", "--cached", "--binary", self.base)
        finally:
            git(work, "reset", "--quiet", "--hard", self.base)
            git(work, "checkout", "--quiet", "main")


def git(folder: Path, *arguments: str) -> bytes:
    """git as a person would call it, with nobody's settings."""
    who = {f"GIT_{r}_{w}": "someone" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
    dates = {f"GIT_{r}_DATE": "2024-01-01T00:00:00Z" for r in ("AUTHOR", "COMMITTER")}
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who, **dates}
    command = ["git", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True).stdout


def make_project(
    folder: Path,
    base: Mapping[str, str] = {"tools.py": BASE, "tests/test_tools.py": TESTS},
    expert: Mapping[str, str] = {"tools.py": EXPERT},
) -> Project:
    """A new repository whose second commit is the expert's."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    ids = []
    for message, files in (("Tools", base), ("Make unique() linear", expert)):
        for name, content in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "-m", message)
        ids.append(git(folder, "rev-parse", "HEAD").decode().strip())
    return Project(folder, *ids)


def task_of(project: Project, **changes: Any) -> dict[str, Any]:
    """The project's one task as a suite file says it; `changes` replace fields, null drops one."""
    task = {
        "name": "unique",
        "source": {"git": str(project.path), "base": project.base, "expert": project.expert},
        "instructions": "tools.unique() is slow on long lists. Make it fast.\n",
        "environment": {"requirements": REQUIREMENTS, "env": {"PYTHONPATH": "/workspace"}},
        "workloads": [{"name": "long", "command": "python /task/work.py", "files": ["work.py"], "timeout_s": 20}],
        "tests": [{"command": PYTEST, "timeout_s": 60}],
        "limits": {"wall_s": 60, "idle_s": 30},
    }
    return {k: v for k, v in {**task, **changes}.items() if v is not None}


def write_suite(folder: Path, *tasks: Mapping[str, Any], workload: str = WORKLOAD) -> Path:
    """A suite file of these tasks, its workload beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.py").write_text(workload)
    file = folder / "suite.yaml"
    with file.open("w") as target:
        YAML(typ="safe").dump({"name": "small", "tasks": [dict(t) for t in tasks]}, target)
    return file


def load_small(folder: Path, project: Project, workload: str = WORKLOAD, **changes: Any) -> LoadedSuite:
    """The suite of the project's one task, loaded."""
    return load_suite(write_suite(folder, task_of(project, **changes), workload=workload))


def prepare_small(
    folder: Path, project: Project, cache: Cache, workload: str = WORKLOAD, **changes: Any
) -> PreparedTask:
    """The project's task, prepared."""
    loaded = load_small(folder, project, workload, **changes)
    return prepare_task(loaded, loaded.suite.tasks[0], cache)


def judge_of(prepared: PreparedTask, method: Method = METHOD) -> Judge:
    """A judge of the task in the real sandbox."""
    return Judge(prepared, Bubblewrap(), method, host_facts(), declared=True)
