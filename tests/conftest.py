"""What several test files share: a cache of their own, in which environments are built once a session."""

import subprocess
from collections.abc import Iterator

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
