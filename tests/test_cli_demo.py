"""The demo, as a newcomer runs it: real agents, and the truth about five kinds of attempt."""

import time
from pathlib import Path

import pytest

from command_line import read_json, run
from speedproof.analysis import RunReport
from speedproof.journal import Store
from speedproof.workspace.cache import Cache

pytestmark = pytest.mark.agents


def test_the_demo_tells_the_truth_about_five_kinds_of_attempt(tmp_path: Path) -> None:
    began = time.monotonic()
    done = run("demo", "--json", cwd=tmp_path, cache=Cache().root)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 240
    rows = {Path(str(r.model)).stem: r for r in RunReport.model_validate(read_json(done.stdout)).rows}
    assert len(rows) == 5
    assert {r.agent for r in rows.values()} == {"codex", "mini"}
    assert all(r.calls for r in rows.values()), "each is a real agent that called the model"

    genuine = rows["genuine"]
    assert (genuine.run, genuine.correctness, genuine.speed, genuine.integrity) == (
        "completed",
        "pass",
        "faster",
        "clean",
    )
    assert genuine.proven is True
    assert genuine.expert is not None and genuine.expert.decision == "faster"

    no_effect = rows["no-effect"]
    assert (no_effect.patch, no_effect.proven) == ("no_effect", False)
    assert no_effect.speed in {"same", "inconclusive"}

    wrong = rows["fast-but-wrong"]
    assert (wrong.correctness, wrong.speed, wrong.proven) == ("fail", "faster", False)
    assert any("differ from base's" in said for said in wrong.failed)

    empty = rows["empty-claim"]
    assert (empty.patch, empty.claims_success, empty.proven) == ("empty", True, False)
    assert empty.diagnosis is not None and empty.diagnosis.failure == "agent/no_patch"

    fails = rows["provider-fails"]
    assert (fails.run, fails.proven) == ("model_error", False)
    assert fails.diagnosis is not None and fails.diagnosis.failure == "model/quota/exhausted"

    for store in Store(tmp_path / "state").run("latest").attempts():
        told = run("explain", store.name, cwd=tmp_path, cache=Cache().root)
        assert told.returncode == 0 and store.name.split("/")[1] in told.stdout
