"""speedproof gc as a person sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import record_builder
from command_line import call, read_json
from speedproof.execution.scratch import Scratch
from speedproof.journal import RunStore
from speedproof.workspace.cache import Cache


def leave(root: Path) -> None:
    """Let a process make an entry, and leave its work behind."""
    code = "from speedproof.workspace.cache import Cache; import os\nc = Cache()\n"
    code += "c.entry('environments', 'e', lambda f: None)\nc.scratch('judge')\nos._exit(0)"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "SPEEDPROOF_CACHE": str(root)}, check=True)


@pytest.fixture
def own(tmp_path: Path) -> Cache:
    """A cache in which a process that is gone left something."""
    leave(tmp_path / "cache")
    return Cache(tmp_path / "cache")


@pytest.fixture
def run(tmp_path: Path, own: Cache) -> RunStore:
    """A run with an open attempt, which works in that cache."""
    planned = [(record_builder.plan("one", "shell", "scripted:x.yaml"), [record_builder.Kind()])]
    found = record_builder.build(tmp_path / "state", planned)
    Scratch.new(found.new_attempt(planned[0][0].id), own, ())  # our own first work here: what was left is swept up
    leave(own.root)
    return found


def test_it_shows_what_is_held_and_what_could_go_and_touches_nothing(tmp_path: Path, own: Cache, run: RunStore) -> None:
    before = sorted(own.root.rglob("*/*"))
    done = call("gc", cwd=tmp_path, cache=own.root)
    assert done.returncode == 0, done.stderr
    for said in (
        str(own.root),
        "environments",
        "kept",
        "left",
        f"speedproof resume {run.id}",
        "open attempts: 1",
        "speedproof gc --free",
    ):
        assert said in done.stdout
    assert set(before) <= set(own.root.rglob("*/*"))


def test_free_frees_what_crashes_left_and_says_how_much(tmp_path: Path, own: Cache, run: RunStore) -> None:
    done = call("gc", "--free", cwd=tmp_path, cache=own.root)
    assert done.returncode == 0, done.stderr
    assert "freed: " in done.stdout and "sealed now" in done.stdout
    assert list(own.attempts.iterdir()) == [] and not list((own.root / "work").glob("*/judge-*"))
    assert [store.read().state for store in run.attempts()] == ["sealed", "sealed"]
    assert (own.root / "environments" / "e").is_dir()
    assert "nothing is left by crashes" in call("gc", cwd=tmp_path, cache=own.root).stdout


def test_caches_are_freed_only_when_asked_for(tmp_path: Path, own: Cache) -> None:
    words = ["gc", "--free", "--caches", "--older-than", "0", "--json"]
    held = {h["kind"]: h for h in read_json(call(*words, cwd=tmp_path, cache=own.root).stdout)}
    assert held["environments"]["state"] == "freed"
    assert held["environments"].keys() == {"kind", "name", "state", "why", "bytes", "used_at"}
    assert not (own.root / "environments" / "e").exists()


def test_caches_without_free_is_refused(tmp_path: Path, own: Cache) -> None:
    done = call("gc", "--caches", cwd=tmp_path, cache=own.root)
    assert done.returncode == 2
    assert "speedproof gc --free --caches" in done.stderr
