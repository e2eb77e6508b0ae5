"""A script's mistakes are named with file, line and field."""

from pathlib import Path

import pytest

from speedproof.errors import InputError
from speedproof.gateway import load_script

HEAD = "format: speedproof/script/1\nturns:\n"


def write(folder: Path, text: str) -> Path:
    file = folder / "s.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("turns: []\n", 1, "format"),
        (HEAD + "  - run: ls\n  - {}\n", 4, "say, run, finish, fail"),
        (HEAD + "  - run: ls\n    finish: done\n", 3, "turns of their own"),
        (HEAD + "  - say: x\n    fail: {status: 500}\n", 3, "turn of its own"),
        (HEAD + "  - fail:\n      status: 200\n", 4, "status"),
        (HEAD + "  - fail: {status: 500}\n  - finish: x\n", 2, "never reached"),
        (HEAD + "  - fail: {}\n", 3, "one of: status, hang, stall, cut, malformed, usage, drip_s"),
        (HEAD + "  - fail: {status: 500, hang: true}\n", 3, "one of"),
        (HEAD + "  - fail: {hang: false}\n", 3, "one of"),
        (HEAD + "  - fail:\n      cut: -1\n", 4, "cut"),
        (HEAD + "  - fail: {cut: 0, retry_after_s: 1}\n", 3, "retry_after_s goes with: status"),
        (HEAD + "  - fail: {malformed: true, hang_s: 1}\n", 3, "hang_s goes with: hang, stall"),
        (HEAD + "  - fail: {usage: {uncached_input: 1, output: 2, reasoning: 3}}\n", 3, "part of output"),
        (HEAD + "  - fail: {usage: {output: 2}}\n", 3, "uncached_input"),
        (HEAD + "  - fail: {hang: true}\n  - finish: x\n", 2, "never reached"),
        (HEAD + "  - fail: {drip_s: 1}\n  - fail: {status: 500, times: 1}\n", 2, "never reached"),
        (HEAD + "  - walk: ls\n", 3, "walk"),
        ("- a\n", 1, "mapping"),
        (HEAD + "  - run: [\n", 4, "broken YAML"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_script(file)
    assert what in str(caught.value)
    assert caught.value.file == str(file)
    assert caught.value.line == line


def test_faults_come_before_the_answer_that_follows_them(tmp_path: Path) -> None:
    script = load_script(
        write(
            tmp_path,
            HEAD + "  - run: one\n  - fail: {status: 500, times: 1}\n  - fail: {status: 429, times: 2}\n"
            "  - run: two\n  - finish: bye\n  - fail: {status: 503, times: 1}\n",
        )
    )
    assert script.step(0).turn.run == "one"
    assert [fault.status for fault in script.step(1).faults] == [500, 429]
    assert script.step(1).turn.run == "two"
    assert script.step(2).turn.finish == "bye"
    assert [fault.status for fault in script.step(3).faults] == [503]
    assert script.step(9).turn.finish == "bye"
    assert script.step(9).faults == ()


def test_a_script_that_ends_in_a_lasting_fault_fails_for_ever(tmp_path: Path) -> None:
    script = load_script(write(tmp_path, HEAD + "  - run: one\n  - fail: {status: 429}\n"))
    assert [[f.status for f in script.step(n).faults] for n in range(4)] == [[], [429], [429], [429]]


@pytest.mark.parametrize("kind", ["drip_s: 0.1", "usage: {uncached_input: 1, output: 1}"])
def test_what_leaves_the_answer_whole_may_last_and_yet_be_followed(tmp_path: Path, kind: str) -> None:
    script = load_script(write(tmp_path, HEAD + f"  - fail: {{{kind}}}\n  - run: one\n  - finish: x\n"))
    assert [len(script.step(n).faults) for n in range(3)] == [1, 0, 0]
    assert script.step(0).faults[0].answers


def test_a_fault_is_known_by_the_field_that_asks_for_it(tmp_path: Path) -> None:
    faults = ["stall: 0", "cut: 0", "hang: true", "malformed: true", "status: 503", "drip_s: 1"]
    text = "".join(f"  - fail: {{{fault}, times: 1}}\n" for fault in faults)
    script = load_script(write(tmp_path, HEAD + text + "  - finish: x\n"))
    assert [fault.kind for fault in script.step(0).faults] == [fault.split(":")[0] for fault in faults]
