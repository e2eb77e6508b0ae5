"""Files and folders that somebody asked for: whole or not there, and an earlier one stands until then."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from speedproof.errors import RecordError
from speedproof.journal.files import remove_unfinished
from speedproof.journal.output import whole_folder, write_output

HINT = "name another file"


def test_on_a_full_disk_the_old_file_stands_and_the_error_says_which_and_what_to_do(full_disk: Path) -> None:
    file = full_disk / "report.html"
    write_output(file, "old", HINT)
    with pytest.raises(RecordError) as caught:
        write_output(file, "x" * 100_000, HINT)
    assert str(caught.value) == f"{file}: cannot be written: No space left on device\n  next: {HINT}"
    assert [p.name for p in full_disk.iterdir()] == ["report.html"]
    assert file.read_text() == "old"


@pytest.mark.parametrize("broken", [OSError(errno.EDQUOT, "Disk quota exceeded"), KeyboardInterrupt()], ids=repr)
def test_what_ends_the_writing_late_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: BaseException
) -> None:
    def refuse(_: int) -> None:
        raise broken

    file = tmp_path / "report.html"
    write_output(file, "old", HINT)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises((RecordError, KeyboardInterrupt)):
        write_output(file, "new", HINT)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert file.read_text() == "old"


def test_text_that_cannot_be_encoded_costs_nobody_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_output(file, "old", HINT)
    with pytest.raises(UnicodeEncodeError):
        write_output(file, "\udc80", HINT)
    assert file.read_text() == "old"


def test_folders_on_the_way_are_made_and_text_is_written_as_it_is(tmp_path: Path) -> None:
    write_output(tmp_path / "a" / "b.txt", "ü\n\r\n", HINT)
    assert (tmp_path / "a" / "b.txt").read_bytes() == "ü\n\r\n".encode()


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_is_followed_and_stays_a_link(tmp_path: Path, there: bool) -> None:
    real, link = tmp_path / "kept" / "real.sarif", tmp_path / "link.sarif"
    real.parent.mkdir()
    if there:
        real.write_text("old")
    link.symlink_to("kept/real.sarif")
    write_output(link, "new", HINT)
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert [p.name for p in real.parent.iterdir()] == ["real.sarif"]


def test_a_file_that_others_must_not_read_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    file.chmod(0o600)
    write_output(file, "new", HINT)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_pipe_gets_it_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_output(pipe, "all of it", HINT)
    reader.join()
    assert got == [b"all of it"]
    assert pipe.is_fifo()


def test_devices_are_written_to_and_one_that_is_full_is_said_to_be() -> None:
    write_output(Path(os.devnull), "x", HINT)
    assert Path(os.devnull).is_char_device()
    with pytest.raises(RecordError, match="/dev/full: cannot be written: No space left on device"):
        write_output(Path("/dev/full"), "x", HINT)


PRINTS = f"""
import sys
from pathlib import Path
from speedproof.journal.output import write_output
write_output(Path(sys.argv[1]), "the file\\n", {HINT!r})
print("what is printed")
"""


@pytest.mark.parametrize("into", ["a file", "a pipe"])
def test_what_is_written_to_dev_stdout_stands_before_what_is_printed(tmp_path: Path, into: str) -> None:
    command = [sys.executable, "-c", PRINTS, "/dev/stdout"]
    if into == "a pipe":
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    else:
        with (tmp_path / "out").open("a") as out:
            subprocess.run(command, check=True, stdout=out)
        text = (tmp_path / "out").read_text()
    assert text == "the file\nwhat is printed\n"


def test_without_any_output_of_its_own_a_process_writes_as_well(tmp_path: Path) -> None:
    shell = f'exec "{sys.executable}" -c "$0" "$1" >&- 2>&-'
    file = tmp_path / "f"
    file.write_text("old")
    subprocess.run(["sh", "-c", shell, PRINTS, str(file)], check=False)
    assert file.read_text() == "the file\n"


@pytest.mark.parametrize("place", ["folder", "file/below", "loop"])
def test_where_no_file_can_be_is_a_clear_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RecordError, match=f"{place}: cannot be written: "):
        write_output(tmp_path / place, "x", HINT)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "loop"]


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with whole_folder(target, HINT) as folder:
        (folder / "one").write_text("1")
        assert not target.exists()
    assert [p.name for p in target.parent.iterdir()] == ["out"]
    assert (target / "one").read_text() == "1"


@pytest.mark.parametrize("error", [RecordError("damaged"), KeyboardInterrupt()], ids=repr)
def test_a_folder_whose_filling_fails_is_gone(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), whole_folder(tmp_path / "out", HINT) as folder:
        (folder / "one").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_the_disk_refuses_is_gone_and_the_error_says_where_it_was_met(
    tmp_path: Path, full_disk: Path
) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "file").write_bytes(b"x" * 100_000)

    def fill(how: Any) -> str:
        with pytest.raises(RecordError) as caught, whole_folder(full_disk / "out", HINT) as folder:
            how(folder)
        assert list(full_disk.iterdir()) == []
        return str(caught.value)

    said = f"{full_disk / 'out'}: cannot be written: "
    assert fill(lambda f: (f / "big").write_bytes(b"x" * 100_000)) == f"{said}No space left on device\n  next: {HINT}"
    copied = fill(lambda f: shutil.copytree(tmp_path / "big", f, dirs_exist_ok=True))
    assert copied.startswith(said) and "No space left on device" in copied
    assert f"{tmp_path / 'gone'}: No such file" in fill(lambda _: (tmp_path / "gone").read_bytes())


KILLED = f"""
import os, signal, sys
from pathlib import Path
from speedproof.journal.output import whole_folder
with whole_folder(Path(sys.argv[1]), {HINT!r}) as folder:
    (folder / "one").write_text("1")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_whose_writer_is_killed_is_not_there_and_what_is_left_can_be_removed(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert len(list(tmp_path.iterdir())) == 1
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []
