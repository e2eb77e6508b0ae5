"""What several test files share: a cache of their own, in which environments are built once a session.

`make test` runs two workers (pytest-xdist). Whole files are handed out. Those that measure go to one worker, one after
another, and the other worker keeps off the processor that measuring is pinned to. A few tests run while no other does.
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from small_project import Project, make_project
from speedproof.workspace.cache import Cache
from speedproof.workspace.mounts import mounts_below

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

MEASURING = (
    "test_journal_bodies",
    "test_journal_redaction_speed",
    "test_evaluation_stopwatch",
    "test_evaluation_measuring",
    "test_evaluation_cheats",
    "test_evaluation_judge",
    "test_evaluation_tricks",
    "test_evaluation_qualifying",
    "test_evaluation_outputs",
    "test_evaluation_witness",
    "test_evaluation_machine",
    "test_evaluation_devices",
    "test_execution_engine",
    "test_judge_benchmark",
    "test_cli_commands",
    "test_cli_interrupted",
    "test_cli_judge",
    "test_cli_qualify",
    "test_cli_demo",
)
"""Files whose tests judge patches, or hold what they do to a tight bound of seconds, in the order in which they run.
The demo comes last: the other worker's agents have ended by then, for which it would wait."""
ALONE = frozenset(
    {
        "test_cli_gc",
        "test_execution_housekeeping",
        "test_execution_recovery::test_only_what_a_dead_harness_started_is_an_orphan",
        "test_sandbox_bounds::test_of_a_living_harness_is_in_use_and_of_a_dead_one_is_left",
    }
)
"""Files and tests that look for what dead processes left on the whole machine: any run beside them frees it, too."""
_PLACED = pytest.StashKey[bool]()
_WORKS_BESIDE = "PYTEST_XDIST_WORKER" in os.environ


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What measures comes first, and so is the first worker's."""
    order = {file: place for place, file in enumerate(MEASURING)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadScopeScheduling":
    """Hand out whole files in the order in which they were collected, and all that measures as if it were one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "measuring" if Path(file).stem in MEASURING else file

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test in its place: on the processors of its worker, and alone where it has to be."""
    if not _WORKS_BESIDE:
        return (yield)
    processors = sorted(os.sched_getaffinity(0))
    if not item.config.stash.get(_PLACED, False) and item.path.stem not in MEASURING:
        os.sched_setaffinity(0, processors[:-1] or processors)
    item.config.stash[_PLACED] = True
    name = f"{item.path.stem}::{getattr(item, 'originalname', item.name)}"
    with _held(alone=bool(ALONE & {item.path.stem, name})):
        return (yield)


@contextmanager
def _held(*, alone: bool) -> Iterator[None]:
    """Hold the tests' folder with whoever else tests here, or alone: who waits for that keeps the door closed."""
    with ExitStack() as held:
        with _locked(Path(__file__), fcntl.LOCK_EX):
            held.enter_context(_locked(Path(__file__).parent, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


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
