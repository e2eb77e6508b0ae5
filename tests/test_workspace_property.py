"""Whatever is done to a workspace, its patch applied to a clean base gives the very tree that was there."""

import ctypes
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedproof.workspace.cache import Cache
from workspace_support import BASE, SYMLINK, Content, forget, handled, read_repository

_PIECES = st.sampled_from(["a", "b", "sub", "pkg", "a.py", "c.py", "new", "Δ", "x y", "-n", '"q"', "l\nf", "..."])
_BASE = sorted(
    {path for name in BASE for path in (os.fsdecode(name), *map(str, Path(os.fsdecode(name)).parents))} - {"."}
)
PATHS = st.lists(_PIECES, min_size=1, max_size=3).map("/".join) | st.sampled_from(_BASE)
CONTENTS = st.binary(max_size=30) | st.sampled_from([b"a\n", b"a\r\nb", b"a\nb\n", b"\0", b"", b"print('a')\n"])
EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PATHS, CONTENTS),
        st.tuples(st.just("remove"), PATHS, st.none()),
        st.tuples(st.just("move"), PATHS, PATHS),
        st.tuples(st.just("link"), PATHS, PATHS),
        st.tuples(st.just("hard link"), PATHS, PATHS),
        st.tuples(st.just("swap"), PATHS, PATHS),
        st.tuples(st.just("anew"), PATHS, st.none()),
        st.tuples(st.just("mode"), PATHS, st.sampled_from([0o644, 0o755, 0o600, 0o711])),
        st.tuples(st.just("folder"), PATHS, st.none()),
    ),
    max_size=12,
)


def swap(one: Path, other: Path) -> None:
    """Let two files or folders change places at once."""
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE, renameat2(2)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
        raise OSError(ctypes.get_errno(), "renameat2")


def perform(root: Path, edit: tuple[str, str, object]) -> None:
    """Do one edit as far as it can be done."""
    what, name, argument = edit
    path = root / name
    try:
        match what:
            case "write":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(argument)  # type: ignore[arg-type]
            case "remove":
                forget(path)
            case "move":
                path.rename(root / str(argument))
            case "link":
                path.symlink_to(str(argument))
            case "hard link":
                (root / str(argument)).hardlink_to(path)
            case "swap":
                swap(path, root / str(argument))
            case "anew":
                shutil.rmtree(path)
                path.mkdir()
            case "mode":
                if path.is_file() and not path.is_symlink():
                    path.chmod(int(str(argument)))
            case "folder":
                path.mkdir(parents=True)
    except (OSError, NotImplementedError, shutil.Error):
        return  # what is in the way of one edit was put there by another


def found(root: Path) -> dict[bytes, Content]:
    """The tree as git could hold it, read in the plainest way."""
    result: dict[bytes, Content] = {}
    for path in root.rglob("*"):
        relative = os.fsencode(path.relative_to(root))
        if relative == b".git" or relative.startswith(b".git/"):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            result[relative] = (SYMLINK, os.fsencode(path.readlink()))
        elif stat.S_ISREG(mode):
            result[relative] = ("100755" if mode & 0o100 else "100644", path.read_bytes())
    return result


@pytest.mark.parametrize("kind", ["overlay", "copy"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_edits_survive_the_way_through_the_patch(kind: str, cache: Cache, edits: list[tuple[str, str, object]]) -> None:
    base = {path: content for path, content in BASE.items() if b"ignore" not in path and not path.endswith(b".log")}
    folder = Path(tempfile.mkdtemp(dir=cache.root))
    try:
        with handled(cache, kind, folder, base) as tree:
            for edit in edits:
                perform(tree.path, edit)
            expected = found(tree.path)
            extracted = tree.extract()
            assert extracted.refused == () and extracted.left_out == ()
            assert read_repository(tree.scratch / "own.git", extracted.tree) == expected
    finally:
        shutil.rmtree(folder)
