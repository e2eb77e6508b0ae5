"""The cache and the programs that fill it: where it stands, who sweeps it, and what an interruption reaches."""

import ast
import os
import tempfile
from pathlib import Path

import pytest

import speedproof
from speedproof.errors import EnvironmentFailed, InputError
from speedproof.workspace.cache import Cache
from speedproof.workspace.environment import find_interpreter
from speedproof.workspace.git import git

OTHER = 54321


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry among the users."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("SPEEDPROOF_CACHE", "XDG_CACHE_HOME", "PYENV_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)


def test_without_a_home_the_cache_asks_for_a_place(
    no_home: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="set SPEEDPROOF_CACHE"):
        Cache()
    monkeypatch.setenv("SPEEDPROOF_CACHE", str(tmp_path))
    assert Cache().root == tmp_path


def test_without_a_home_an_unknown_python_is_still_only_unknown(no_home: None) -> None:
    with pytest.raises(EnvironmentFailed, match=r"no Python 3\.1 on this machine"):
        find_interpreter("3.1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_what_another_user_left_does_not_block(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        left = root / "work" / "left"
        (left / "folder").mkdir(parents=True)
        left.chmod(mode)
        for path in (root, root / "work"):
            os.chown(path, OTHER, OTHER)
        os.seteuid(OTHER)
        try:
            made = Cache(root).scratch("x")
        finally:
            os.seteuid(0)
        assert made.stat().st_uid == OTHER
        assert (left / "folder").is_dir()


def test_ctrl_c_at_a_terminal_does_not_reach_git() -> None:
    session = git("-c", "alias.session=!cut -d' ' -f6 /proc/self/stat", "session")
    assert int(session) != os.getsid(0)


def test_no_program_of_ours_shares_our_session() -> None:
    root = Path(speedproof.__file__).parent
    calls = [
        (file, call)
        for part in ("workspace", "tasks")
        for file in (root / part).glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in {"subprocess.run", "subprocess.Popen"}
    ]
    assert len(calls) > 8
    for file, call in calls:
        assert "start_new_session" in {word.arg for word in call.keywords}, f"{file.name}:{call.lineno}"
