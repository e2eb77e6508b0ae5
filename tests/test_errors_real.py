"""Real archives, whose failures are known. Nothing of them is in the repository: skipped where they are not."""

from pathlib import Path

import pytest

from archive_builder import imported
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.errors import Errors, errors
from speedproof.journal import FailureClass as F

SHARED = Path(__file__).parents[2] / "shared" / "archives"
pytestmark = pytest.mark.skipif(not (SHARED / "thirty-runs").is_dir(), reason="the real archives are not here")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    state = tmp_path_factory.mktemp("real")
    imported(SHARED / "thirty-runs", state)
    return collect((), state)


@pytest.fixture(scope="module")
def found(collection: Collection) -> Errors:
    return errors(collection)


def test_a_cause_is_found_for_every_failure_without_a_text(found: Errors) -> None:
    told = found.recorded_failures
    assert (len(told.attempts), len(told.without_text), told.no_cause) == (166, 162, ())
    assert told.causes == {"direct": 129, "inferred": 33, "weak": 0}


def test_failed_calls_are_counted_apart_from_what_the_logs_repeat(found: Errors) -> None:
    calls = next(group for group in found.calls if group.failure is F.TOOL_OUTPUT_MISSING)
    assert (calls.calls, calls.mentions, len(calls.attempts)) == (83, 1_741, 83)
    assert (calls.recorded_success_calls, len(calls.recorded_success)) == (77, 77)
    group = next(group for group in found.groups if group.failure is F.TOOL_OUTPUT_MISSING)
    assert len(group.groups) == 1, "the 83 are one failure"


def test_start_up_failures_stand_together_in_the_two_runs_that_had_them(collection: Collection) -> None:
    at_once = {e.name for e in collection.entries if e.attempt.wall_s is not None and 1.5 <= e.attempt.wall_s < 1.8}
    runs = {group.name: group for group in errors(collection, "run").groups}
    for name, times in (("vllm_core-84ca0ad4", 43), ("vllm_core-8e54a51a", 31)):
        assert len(at_once.intersection(runs[name].attempts)) == times
    (missing,) = (g for g in runs["vllm_core-84ca0ad4"].groups if g.failure is F.CONFIG_MISSING)
    assert len(missing.attempts) == 43 and missing.lost.cost_usd is None and missing.lost.cost_unknown == 43


def test_every_example_stands_where_it_is_said_to_stand(found: Errors) -> None:
    for group in (*found.groups, *found.completed):
        for one in (group, *group.groups):
            place = one.example.evidence[0]
            lines = (SHARED / "thirty-runs" / place.file).read_text(errors="replace").split("\n")
            assert place.line is not None and place.excerpt[:12].strip() in lines[place.line - 1]
