"""What several test files share: a cache of their own, in which environments are built once a session."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from small_project import Project, make_project
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below


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
