"""The four files of the thirty published runs, leaf by leaf. Nothing of them is in the repository."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archive_builder import imported
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.datafiles import data_files, write_data_files

THIRTY = Path(__file__).parents[2] / "shared" / "archives" / "thirty-runs"
pytestmark = pytest.mark.skipif(not THIRTY.is_dir(), reason="the real archives are not here")

DOCUMENTED: dict[str, str] = {}
"""Leaves that differ from the published ones, each with its reason: there are none."""


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    state = tmp_path_factory.mktemp("thirty")
    imported(THIRTY, state)
    return collect([], state)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each leaf with its path, and each object with its keys in their order."""
    if isinstance(value, dict):
        yield path, list(value)
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        yield path, len(value)
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, (type(value), value)


def test_legacy_files_equal_the_published_ones(thirty: Collection, tmp_path: Path) -> None:
    made = data_files(thirty, legacy=True)
    published = {path.name: json.loads(path.read_text()) for path in (THIRTY / "published").glob("*.json")}
    assert set(made) == set(published)
    ours, theirs = dict(leaves(made)), dict(leaves(dict.fromkeys(made) | published))
    assert len(theirs) > 10_000
    missing = object()
    differing = {p for p in ours | theirs if ours.get(p, missing) != theirs.get(p, missing)}
    assert differing == set(DOCUMENTED)
    for path in write_data_files(thirty, tmp_path, legacy=True):
        assert path.read_bytes() == (THIRTY / "published" / path.name).read_bytes()


def test_true_sums_stand_beside_the_published_ones(thirty: Collection) -> None:
    summary = data_files(thirty, legacy=False)["comprehensive_run_analysis.json"]["summary"]
    true = summary["speedproof"]
    tokens = {"input_tokens": 216_836_625, "output_tokens": 2_490_068, "cached_input_tokens": 204_665_600}
    for name, value in tokens.items():
        assert (true[name]["value"], true[name]["attempts"], true[name]["unknown"]) == (value, 158, 142), name
    counts = {"recorded_successes": 134, "exit_and_patch": 74, "confirmed": 36, "causes_found": 268}
    counts |= {"tool_output_missing_calls": 83, "tool_output_missing_attempts": 83, "empty_patch_files": 153}
    assert {name: true[name]["value"] for name in counts} == counts
    assert true["proven"]["unknown"] == 300
    assert true["list_price"]["value"] == pytest.approx(85.4, abs=0.1)
    assert (summary["total_tokens_input"], summary["total_gpt5_errors"]) == (1_397_096, 1_741)


def test_items_and_runs_add_up_to_those_sums(thirty: Collection) -> None:
    made = data_files(thirty, legacy=False)
    items = [item["speedproof"] for run in made["per_run_detailed_analysis.json"] for item in run["items"]]
    runs = [run["speedproof"] for run in made["run_analysis_data.json"]]
    true = made["detailed_pattern_analysis.json"]["summary"]["speedproof"]
    for name in ("input_tokens", "cached_input_tokens", "output_tokens", "tool_output_missing_calls", "steps", "calls"):
        assert sum(i[name] or 0 for i in items) == sum(r[name]["value"] or 0 for r in runs) == true[name]["value"], name
    assert sum(i["input_tokens"] is not None for i in items) == 158
    assert [i["steps"] for i in items if i["name"].startswith("vllm_core-3368ff88/")] == [40]


def test_all_evidence_is_there(thirty: Collection) -> None:
    for run in data_files(thirty, legacy=False)["run_analysis_data.json"]:
        for item in run["items"]:
            true = item["speedproof"]
            assert bool(true["cause"]) == bool(true["evidence"])
            for place in true["evidence"]:
                file, _, line = place.rpartition(":")
                text = (THIRTY / (file if line.isdigit() else place)).read_bytes()
                assert not line.isdigit() or int(line) <= text.count(b"\n") + 1
