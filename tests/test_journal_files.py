"""Files that survive a kill at any moment, a full disk, and lines that are torn or damaged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedproof.errors import RecordError
from speedproof.journal.files import BadLine, JsonLines, read_jsonl, write_atomically

WRITER = """
import sys
from pathlib import Path
from speedproof.journal.files import JsonLines, write_atomically
folder = Path(sys.argv[1])
lines = JsonLines(folder / "calls.jsonl")
number = 0
while True:
    number += 1
    lines.append({"number": number, "filler": "x" * (number * 37 % 4000)})
    write_atomically(folder / "attempt.json", f'{{"number": {number}, "filler": "{"y" * 5000}"}}')
    if number == 20:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.013, 0.05])
def test_killing_the_writer_at_any_moment_leaves_every_whole_line_and_a_whole_record(
    tmp_path: Path, wait_s: float
) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(wait_s)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    entries = list(read_jsonl(tmp_path / "calls.jsonl"))
    torn = [e for e in entries if isinstance(e, BadLine)]
    whole = [e for e in entries if not isinstance(e, BadLine)]
    assert [value["number"] for _, value in whole] == list(range(1, len(whole) + 1))
    assert len(whole) >= 20
    assert len(torn) <= 1
    assert all(e.torn for e in torn)
    record = (tmp_path / "attempt.json").read_text()
    assert record.endswith("y" * 5000 + '"}')


def test_a_temporary_file_left_by_a_kill_is_ignored_and_the_record_still_written(tmp_path: Path) -> None:
    path = tmp_path / "attempt.json"
    write_atomically(path, "old")
    (tmp_path / f".attempt.json.{os.getpid()}.tmp").write_text("half a rec")
    (tmp_path / ".attempt.json.1.tmp").write_text("half a rec")
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == [".attempt.json.1.tmp", "attempt.json"]


def test_a_torn_last_line_is_reported_and_so_is_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n\xff\xfe{}\n[1]\n\n{"b": 2}\n{"c"')
    assert list(read_jsonl(path)) == [
        (1, {"a": 1}),
        BadLine(2, torn=False, excerpt="\ufffd\ufffd{}"),
        BadLine(3, torn=False, excerpt="[1]"),
        BadLine(4, torn=False, excerpt=""),
        (5, {"b": 2}),
        BadLine(6, torn=True, excerpt='{"c"'),
    ]


def test_a_torn_line_is_ended_before_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b"')
    for number in range(2):
        lines = JsonLines(path)
        lines.append({"c": number})
        lines.close()
    assert list(read_jsonl(path)) == [
        (1, {"a": 1}),
        BadLine(2, torn=False, excerpt='{"b"'),
        (3, {"c": 0}),
        (4, {"c": 1}),
    ]


def test_a_file_that_was_never_begun_has_no_lines(tmp_path: Path) -> None:
    assert list(read_jsonl(tmp_path / "x.jsonl")) == []


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), max_size=5),
    st.data(),
)
def test_cutting_the_file_anywhere_loses_only_the_line_that_was_cut(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, int | str]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cut") / "x.jsonl"
    lines = JsonLines(path)
    for value in values:
        lines.append(value)
    lines.close()
    raw = path.read_bytes()
    cut = data.draw(st.integers(0, len(raw)))
    path.write_bytes(raw[:cut])
    entries = list(read_jsonl(path))
    complete = raw[:cut].count(b"\n")
    assert entries[:complete] == list(enumerate(values[:complete], 1))
    for extra in entries[complete:]:
        assert extra == (complete + 1, values[complete]) or (isinstance(extra, BadLine) and extra.torn)


def test_on_a_full_disk_the_old_record_stands_and_the_error_says_so(full_disk: Path) -> None:
    path = full_disk / "attempt.json"
    write_atomically(path, "old")
    with pytest.raises(RecordError, match="No space left on device") as caught:
        write_atomically(path, "x" * 100_000)
    assert str(path) in str(caught.value)
    assert "free space" in str(caught.value)
    assert [p.name for p in full_disk.iterdir()] == ["attempt.json"]
    assert path.read_text() == "old"


def test_on_a_full_disk_an_append_fails_and_the_lines_before_it_stand(full_disk: Path) -> None:
    path = full_disk / "calls.jsonl"
    lines = JsonLines(path)
    with pytest.raises(RecordError, match=r"calls\.jsonl.*(?i:no space)"):
        for number in range(100):
            lines.append({"number": number, "filler": "x" * 3000})
    lines.close()
    entries = list(read_jsonl(path))
    whole = [e for e in entries if not isinstance(e, BadLine)]
    assert len(whole) >= 10
    assert [value["number"] for _, value in whole] == list(range(len(whole)))
    assert all(e.torn for e in entries[len(whole) :] if isinstance(e, BadLine))


def test_a_device_that_is_always_full_is_a_clear_error_for_everyone(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").symlink_to("/dev/full")
    lines = JsonLines(tmp_path / "calls.jsonl")
    with pytest.raises(RecordError, match=r"calls\.jsonl: cannot append to the record: No space left"):
        lines.append({"a": 1})
    os.close(lines._file)  # a device refuses fsync


def test_a_folder_that_is_gone_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"gone/attempt\.json"):
        write_atomically(tmp_path / "gone" / "attempt.json", "x")
