"""What several test files share: a cache of their own, in which environments are built once a session."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_project import Project, make_project
from speedproof.workspace.cache import Cache


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """A cache nobody else uses; nothing may be mounted in it when the session ends."""
    root = tmp_path_factory.mktemp("cache")
    yield Cache(root)
    assert mounts_below(root) == []
    assert not list((root / "work").glob("*"))
    subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small project; its files stay as they are."""
    return make_project(tmp_path_factory.mktemp("project") / "tools")


def mounts_below(folder: Path) -> list[str]:
    """Mount points under `folder` in our namespace."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(f"{folder}/")]
