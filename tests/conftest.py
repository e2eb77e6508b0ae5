"""What several test files share: a cache of their own, in which environments are built once a session.

`make test` runs them twice over: those marked `alone` one after another with nothing beside them, the others on two
workers (pytest-xdist).
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_project import Project, make_project
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

ALONE = frozenset(
    {
        "test_agents_faults",
        "test_cli_commands",
        "test_cli_demo",
        "test_cli_gc",
        "test_cli_interrupted",
        "test_cli_judge",
        "test_cli_qualify",
        "test_cli_review",
        "test_evaluation_cheats",
        "test_evaluation_devices",
        "test_evaluation_judge",
        "test_evaluation_machine",
        "test_evaluation_measuring",
        "test_evaluation_outputs",
        "test_evaluation_qualifying",
        "test_evaluation_stopwatch",
        "test_evaluation_tricks",
        "test_evaluation_witness",
        "test_execution_engine",
        "test_execution_housekeeping",
        "test_execution_recovery",
        "test_journal_bodies",
        "test_journal_redaction_speed",
        "test_judge_benchmark",
        "test_sandbox_bounds",
    }
)
"""Files whose tests judge patches, hold what they do to a tight bound of seconds, or look for what dead processes left
on the whole machine: anything beside them would disturb what they find."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must run alone."""
    for item in items:
        if item.path.stem in ALONE:
            item.add_marker("alone")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """A cache nobody else uses; nothing may be mounted in it when the session ends."""
    root = tmp_path_factory.mktemp("cache")
    yield Cache(root)
    assert mounts_below(root) == []
    assert not list((root / "work").glob("*/*"))
    subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project; its files stay as they are."""
    return make_project(tmp_path_factory.mktemp("project") / "tools")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB; needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
