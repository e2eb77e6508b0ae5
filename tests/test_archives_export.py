"""A run of Speedproof written in the earlier harness's layout, and read back; the two commands."""

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archive_builder import PATCH, attempts, journal, only, put, trajectory
from record_builder import demo_run
from speedproof.archives.export import export_run
from speedproof.archives.exported import BLOCK
from speedproof.cli.app import app
from speedproof.diagnosis import derive
from speedproof.errors import InputError, RecordError
from speedproof.journal import RunStore
from speedproof.journal.foreign import ForeignAttempt

RUNNER = CliRunner()
PLACES = {"id", "archive", "folder", "layout", "files", "facts", "patch", "prompt_file", "duplicate_of"}
"""Fields that say where a record stands, and in which files."""


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    return demo_run(tmp_path / "own")


def by_name(found: list[ForeignAttempt]) -> dict[str | None, ForeignAttempt]:
    return {a.own: a for a in found}


def test_our_own_runs_are_imported_as_links_to_their_records(run: RunStore, tmp_path: Path) -> None:
    found = by_name(attempts(run.folder.parents[1], tmp_path / "state"))
    assert set(found) == {store.name for store in run.attempts()}
    for store in run.attempts():
        one = found[store.name]
        known = [s for p in (store.folder / "derived").glob("*.json") if (s := store.status(p.stem)) is not None]
        status = known[0] if known else derive(store, alive=False)
        assert (one.layout, one.confirmed, one.run_status) == ("speedproof", status.confirmed, status.run)
        assert one.task == store.read().task


def test_a_run_exported_and_imported_again_gives_the_same_records(run: RunStore, tmp_path: Path) -> None:
    before = by_name(attempts(run.folder, tmp_path / "state"))
    assert export_run(run, tmp_path / "out") == len(before)
    after = by_name(attempts(tmp_path / "out", tmp_path / "state"))
    assert set(before) == set(after)
    for name, one in before.items():
        other = after[name]
        assert other.layout == "perf-agents-bench"
        assert other.model_dump(exclude=PLACES) == one.model_dump(exclude=PLACES)
        patches = [a.patch and a.patch.model_dump(exclude={"file"}) for a in (other, one)]
        assert patches[0] == patches[1] or not (one.patch and one.patch.size)


def test_on_a_full_disk_nothing_is_exported_and_with_space_there_everything(run: RunStore, full_disk: Path) -> None:
    out = full_disk / "out"
    with pytest.raises(RecordError, match=r"out/state: cannot be written: .*No space left on device\n  next: "):
        export_run(run, out)
    assert list(out.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=16m", str(full_disk)], check=True)
    assert export_run(run, out) == len(list(out.rglob("journal.json"))) > 1


def test_a_damaged_record_leaves_no_half_of_an_export(run: RunStore, tmp_path: Path) -> None:
    *_, last = run.attempts()
    (last.folder / "attempt.json").write_text("{")
    with pytest.raises(RecordError, match="damaged record"):
        export_run(run, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_exported_attempt_has_the_files_of_the_layout(run: RunStore, tmp_path: Path) -> None:
    export_run(run, tmp_path / "out")
    folders = sorted((tmp_path / "out" / "state" / "runs" / run.id).iterdir())
    assert len(folders) == len(list(run.attempts()))
    for folder in folders:
        record = json.loads((folder / "journal.json").read_text())
        assert {"task_id", "commits", "status", "timestamps", BLOCK} <= record.keys()
    assert any((folder / "model_patch.diff").read_text().startswith("diff --git") for folder in folders)


def test_a_block_that_is_none_of_ours_is_not_believed(tmp_path: Path) -> None:
    put(tmp_path / "a", journal__json=journal() | {BLOCK: {"format": "speedproof/exported/1", "strict": True}})
    found = only(tmp_path / "a", tmp_path / "state")
    assert (found.own, found.strict, found.patch_status) == (None, False, "missing")


def test_both_commands_work_and_say_what_they_found(tmp_path: Path) -> None:
    root, state, out = tmp_path / "arch", tmp_path / "state", tmp_path / "out"
    put(root / "r" / "i", journal__json=journal(), model_patch__diff=PATCH)
    put(root / "loose", t__json=trajectory(), odd__md="x")
    done = RUNNER.invoke(app, ["import", str(root), "--state", str(state)])
    assert done.exit_code == 0, done.output
    assert "2 attempts" in done.output and "perf-agents-bench" in done.output and "trae" in done.output
    again = RUNNER.invoke(app, ["import", str(root), "--state", str(state), "--json"])
    [told] = json.loads(again.output)
    assert (told["attempts"], told["read"], told["layouts"]) == (2, 0, {"perf-agents-bench": 1, "trae": 1})
    wrote = RUNNER.invoke(app, ["export", "arch", str(out), "--state", str(state)])
    assert wrote.exit_code == 0, wrote.output
    assert sorted(p.name for p in out.rglob("journal.json")) == ["journal.json"] * 2
    for taken in (out, tmp_path / "file"):
        (tmp_path / "file").touch()
        refused = RUNNER.invoke(app, ["export", "arch", str(taken), "--state", str(state)])
        assert isinstance(refused.exception, InputError) and "not empty" in str(refused.exception)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = RUNNER.invoke(app, ["import", str(tmp_path / "nothing"), "--state", str(tmp_path / "state")])
    assert done.exit_code != 0
    assert "no such folder" in str(done.exception)
