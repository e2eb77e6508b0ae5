"""The four data files: the published shape, naive values in it, what is true beside, for every kind of attempt."""

import json
from pathlib import Path
from typing import Any

import pytest

from archive_builder import HUMAN, NO_OUTPUT, PATCH, WRITTEN, imported, journal, put, trajectory, usage
from record_builder import demo_run
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.datafiles import data_files, write_data_files
from speedproof.analysis.datafiles.beside import DISTRIBUTIONS, OF_A_RUN, OF_ALL, STATISTICS
from speedproof.analysis.datafiles.truth import Truth
from speedproof.errors import InputError, RecordError

RUNS, WHOLE = "run_analysis_data.json", "comprehensive_run_analysis.json"
DETAILED, PATTERNS = "per_run_detailed_analysis.json", "detailed_pattern_analysis.json"
PAGE = Path(__file__).parents[1] / "docs" / "data-files.md"
LOG = "".join(
    f"│ Status      │ ✅ Step {n}: Completed\n│ Total       │ Input: {n}000 Output: {n}0\n" for n in range(1, 13)
)


def harness(root: Path) -> Path:
    """Two runs of the earlier harness, three items of the same commit: a success, an exception, a failed call."""
    runs = root / "state" / "runs"
    put(
        runs / "core-bbbb" / "core-0001",
        journal__json=journal(),
        model_patch__diff=PATCH,
        trae_stdout__txt=LOG + f"OpenAI API call failed: {NO_OUTPUT}\n" * 3,
        trajectory__json=trajectory(*[usage(1_000, 10, 400)] * 12, success=True),
    )
    put(
        runs / "core-aaaa" / "core-0002",
        journal__json=journal(
            "error",
            None,
            error="[Errno 32] Broken pipe",
            error_type="BrokenPipeError",
            timestamps={"written": WRITTEN - 60},
        ),
        prompt__json={"task": "t"},
    )
    put(
        runs / "core-aaaa" / "core-0001",
        journal__json=journal("error", 1, timestamps={"written": WRITTEN - 3_600}),
        model_patch__diff="",
        trae_stdout__txt="",
        trae_stderr__txt="ModuleNotFoundError: No module named 'openai'\n",
    )
    return root


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def collected(root: Path, state: Path) -> Collection:
    imported(root, state)
    return collect([], state)


def strict_json(path: Path) -> Any:
    """Parsed as the standard has it: no NaN, no infinities, whole characters."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_bytes().decode(), parse_constant=refuse)


def without_truth(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_truth(v) for k, v in value.items() if k != "speedproof"}
    return [without_truth(v) for v in value] if isinstance(value, list) else value


def test_runs_stand_by_id_and_items_by_name(tmp_path: Path, state: Path) -> None:
    made = data_files(collected(harness(tmp_path / "archive"), state), legacy=True)
    assert [(r["run_id"], [i["item_id"] for i in r["items"]]) for r in made[RUNS]] == [
        ("core-aaaa", ["core-0001", "core-0002"]),
        ("core-bbbb", ["core-0001"]),
    ]
    assert made[RUNS][1]["items"] == [
        {
            "item_id": "core-0001",
            "status": "success",
            "commit": HUMAN,
            "patch_size": len(PATCH),
            "duration": 100.5,
            "returncode": 0,
            "error": None,
            "error_type": None,
            "timestamp": WRITTEN,
        }
    ]


def test_naive_values_keep_their_errors(tmp_path: Path, state: Path) -> None:
    made = data_files(collected(harness(tmp_path / "archive"), state), legacy=True)
    run = made[DETAILED][1]
    assert (run["success_count"], run["success_rate"], run["total_tokens"], run["total_gpt5_errors"]) == (
        1,
        100,
        1010,
        3,
    )
    (item,) = run["items"]
    assert (item["input_tokens"], item["output_tokens"], item["max_step"]) == (1_000, 10, 9)
    assert (item["completed"], item["duration_minutes"]) == (True, 1.68)
    assert item["outcome_classification"] == "success_with_patch"
    empty, broken = made[DETAILED][0]["items"]
    assert (empty["max_step"], empty["completed"], empty["outcome_classification"]) == (0, False, "error_unknown")
    assert (broken["max_step"], broken["patch_size_bytes"], broken["has_patch"]) == (None, 0, False)
    assert (broken["total_tokens"], broken["outcome_classification"]) == (0, "error_BrokenPipeError")
    assert made[DETAILED][0]["run_start_timestamp"] == WRITTEN - 3_600
    assert made[WHOLE]["summary"] == {
        "total_runs": 2,
        "total_items": 3,
        "runs_with_errors": 1,
        "runs_with_success": 1,
        "total_tokens_input": 1_000,
        "total_tokens_output": 10,
        "total_gpt5_errors": 3,
        "estimated_cost_usd": 0.0103,
    }


def test_patterns_count_what_naive_reading_sees(tmp_path: Path, state: Path) -> None:
    made = data_files(collected(harness(tmp_path / "archive"), state), legacy=True)[PATTERNS]
    patterns = made["patterns"]
    assert patterns["by_status"] == {"error": 2, "success": 1}
    assert patterns["by_patch_size"] == {"empty": 2, "small": 1}
    assert patterns["by_returncode"] == {"1": 1, "0": 1}
    assert patterns["by_gpt5_errors"] == {"3": 1}
    assert patterns["error_patterns"] == {"[Errno 32] Broken pipe": 1}
    assert [a["run_id"] for a in patterns["commit_attempts"]["aaaaaaaa"]] == ["core-aaaa", "core-aaaa", "core-bbbb"]
    assert made["multi_attempt_commits"] == {"aaaaaaaa": 3}
    assert made["statistics"]["duration"]["stdev"] == 0
    assert made["summary"]["total_gpt5_errors"] == 1


def test_the_truth_stands_beside_and_changes_nothing(tmp_path: Path, state: Path) -> None:
    chosen = collected(harness(tmp_path / "archive"), state)
    legacy, made = data_files(chosen, legacy=True), data_files(chosen, legacy=False)
    assert without_truth(made) == legacy
    assert "speedproof" not in json.dumps(legacy)
    item = made[WHOLE]["runs"][1]["items"][0]["speedproof"]
    assert item["name"] == "core-bbbb/core-0001"
    assert (item["steps"], item["input_tokens"], item["uncached_input_tokens"]) == (12, 12_000, 7_200)
    assert (item["cached_input_tokens"], item["output_tokens"]) == (4_800, 120)
    assert (item["usage_source"], item["model"], item["model_evidence"]) == ("trajectory", "gpt-5-2025-08-07", "direct")
    assert (item["recorded"], item["exit_and_patch"], item["proven"]) == (True, True, None)
    failed = made[DETAILED][0]["items"][0]["speedproof"]
    assert failed["cause"] == "infrastructure/harness/agent_import_error"
    assert failed["evidence"][0] == "state/runs/core-aaaa/core-0001/trae_stderr.txt:1"
    assert (failed["input_tokens"], failed["cost_usd"], failed["usage_source"]) == (None, None, "unknown")
    run = made[RUNS][1]["speedproof"]["input_tokens"]
    assert (run["value"], run["where"], run["measure"]) == (12_000, {"run": "core-bbbb"}, "input_tokens")
    total = made[PATTERNS]["summary"]["speedproof"]["input_tokens"]
    assert (total["value"], total["attempts"], total["unknown"]) == (12_000, 1, 2)
    entry = made[PATTERNS]["patterns"]["commit_attempts"]["aaaaaaaa"][0]["speedproof"]
    assert entry["name"] == "core-aaaa/core-0001"
    causes = made[PATTERNS]["patterns"]["speedproof"]["by_cause"]
    assert causes["infrastructure/harness/agent_import_error"]["value"] == 1


def test_what_naive_reading_does_not_have_is_null(tmp_path: Path, state: Path) -> None:
    put(
        tmp_path / "archive",
        preds__json=[{"instance_id": "a__b-1", "model_patch": PATCH, "model_name_or_path": "m"}],
        run__traj__json={"info": {"exit_status": "Submitted", "config": {}}, "messages": []},
    )
    made = data_files(collected(tmp_path / "archive", state), legacy=True)
    for run in made[DETAILED]:
        assert (run["success_count"], run["success_rate"], run["total_tokens"]) == (None, None, None)
        for item in run["items"]:
            unknown = {"status", "returncode", "input_tokens", "total_tokens", "gpt5_errors", "max_step", "completed"}
            assert {item[field] for field in unknown | {"outcome_classification"}} == {None}
    summary = made[WHOLE]["summary"]
    assert (summary["runs_with_success"], summary["total_gpt5_errors"], summary["estimated_cost_usd"]) == (None,) * 3
    assert made[PATTERNS]["patterns"]["by_status"] == {"null": summary["total_items"]}
    assert set(made[PATTERNS]["statistics"]["duration"].values()) == {None}


def test_our_own_runs_give_the_same_files(tmp_path: Path) -> None:
    root = tmp_path / "state"
    demo_run(root)
    chosen = collect([], root)
    made = data_files(chosen, legacy=False)
    (run,) = made[DETAILED]
    assert run["num_items"] == len(chosen.entries) == len(run["items"])
    assert chosen.controls
    assert not {e.name for e in chosen.controls} & {i["speedproof"]["name"] for i in run["items"]}
    for item in run["items"]:
        assert (item["input_tokens"], item["gpt5_errors"], item["max_step"], item["completed"]) == (None,) * 4
    assert run["speedproof"]["proven"]["value"] == sum(e.proven is True for e in chosen.entries)
    assert any(i["speedproof"]["proven"] for i in run["items"])


def test_hostile_names_and_values_give_strict_json(tmp_path: Path, state: Path) -> None:
    name = 'x\x1b[31m"</script>\u202e\n'
    put(
        tmp_path / "archive" / "state" / "runs" / name / name,
        journal__json=json.dumps(journal("err\x00or", 1, error="\ud800 \x1b]0;t\x07 </script>")).replace(
            "100.5", "NaN"
        ),
    )
    put(
        tmp_path / "archive" / "state" / "runs" / "inf" / "i",
        journal__json=json.dumps(journal("success")).replace("100.5", "1e999").replace(str(WRITTEN), "-Infinity"),
    )
    chosen = collected(tmp_path / "archive", state)
    assert len(chosen.entries) == 2
    for legacy in (True, False):
        for path in write_data_files(chosen, tmp_path / "out", legacy=legacy):
            assert strict_json(path)
            assert b"\x1b" not in path.read_bytes()


def test_no_attempt_at_all_gives_empty_files(tmp_path: Path) -> None:
    made = data_files(Collection.of([], []), legacy=False)
    assert made[RUNS] == made[DETAILED] == []
    assert made[WHOLE]["summary"]["total_tokens_input"] is None
    assert made[WHOLE]["summary"]["speedproof"]["attempts"]["value"] == 0


def test_the_folder_is_made_and_files_are_replaced(tmp_path: Path, state: Path) -> None:
    chosen = collected(harness(tmp_path / "archive"), state)
    folder = tmp_path / "new" / "data"
    paths = write_data_files(chosen, folder, legacy=False)
    assert [p.name for p in paths] == [RUNS, WHOLE, DETAILED, PATTERNS]
    assert {p.name: strict_json(p) for p in paths} == data_files(chosen, legacy=False)
    write_data_files(chosen, folder, legacy=True)
    assert {p.name: strict_json(p) for p in paths} == data_files(chosen, legacy=True)
    assert sorted(folder.iterdir()) == sorted(paths)


def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(InputError, match="is a file") as caught:
            write_data_files(Collection.of([], []), folder, legacy=True)
        assert "--data-dir" in caught.value.hint
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_file_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    (tmp_path / DETAILED / "full").mkdir(parents=True)
    with pytest.raises(RecordError, match="cannot be written: Is a directory") as caught:
        write_data_files(Collection.of([], []), tmp_path, legacy=True)
    assert caught.value.file == str(tmp_path / DETAILED)


def test_a_full_disk_is_said(full_disk: Path, tmp_path: Path, state: Path) -> None:
    filler = full_disk / "filler"
    filler.write_bytes(b"x" * (60 << 10))
    with pytest.raises(RecordError, match=r"cannot be written: No space left on device\n  next: .*--data-dir"):
        write_data_files(collected(harness(tmp_path / "archive"), state), full_disk, legacy=False)


def test_the_page_names_every_field_and_figure(tmp_path: Path, state: Path) -> None:
    page = PAGE.read_text()
    made = data_files(collected(harness(tmp_path / "archive"), state), legacy=True)
    fields = {k for name in (RUNS, DETAILED) for k in made[name][0]["items"][0]} | set(
        made[WHOLE]["runs"][0]["items"][0]
    )
    told = {"item_id"}
    figures = {*OF_A_RUN, *OF_ALL, *STATISTICS, *DISTRIBUTIONS}
    for name in (fields - told) | set(Truth.model_fields) | figures | set(made):
        assert f"`{name}`" in page, name
