"""Rows: facts, status and the evaluation that counts, joined; nothing is dropped, nothing crashes."""

from pathlib import Path

import pytest

from record_builder import CRASHED, FAST_BUT_WRONG, GENUINE, HOSTILE, QUOTA, build, demo_run, plan
from speedproof.analysis import Row, RunReport, detail, rows, run_report
from speedproof.errors import RecordError
from speedproof.journal import Method, RunStore

MODEL = "openai/gpt-5"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    return demo_run(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def found(run: RunStore) -> list[Row]:
    return rows(run)


def pick(found: list[Row], task: str, agent: str, number: int | None = 1, sample: int = 1) -> Row:
    return next(r for r in found if (r.task, r.agent, r.number, r.sample) == (task, agent, number, sample))


def one(root: Path, *kinds: object) -> RunStore:
    return build(root, [(plan("a-task", "codex", MODEL), list(kinds))])  # type: ignore[arg-type]


def test_every_attempt_and_every_item_without_one_is_a_row(found: list[Row]) -> None:
    assert len(found) == 11
    assert [r.state for r in found].count("open") == 1
    waiting = next(r for r in found if r.state == "not_started")
    assert (waiting.number, waiting.folder, waiting.proven, waiting.calls) == (None, None, None, None)


def test_a_proven_attempt_brings_its_figures(found: list[Row]) -> None:
    row = pick(found, "sortedlib-merge", "codex")
    assert row.proven is True
    assert row.speedup is not None and row.expert is not None and row.noop is not None
    assert row.speedup.low is not None and row.speedup.low < row.speedup.speedup == 1.42
    assert (row.expert.speedup, row.noop.decision, row.builds, row.applies) == (1.57, "same", True, True)
    assert row.evaluation is not None and row.evaluation.startswith("evaluations/")


def test_an_attempt_without_a_patch_is_known_to_be_unproven_without_an_evaluation(found: list[Row]) -> None:
    row = pick(found, "packaging-versions", "mini-swe-agent")
    assert (row.patch, row.correctness, row.speed, row.proven, row.claims_success) == ("empty", None, None, False, True)


def test_a_cut_off_attempt_is_crashed_and_keeps_what_its_calls_say(found: list[Row]) -> None:
    row = pick(found, "tomli-loads", "mini-swe-agent", sample=2)
    assert (row.state, row.launched, row.calls) == ("open", True, 3)
    assert (row.run, row.patch, row.proven, row.usage_unknown_calls) == ("crashed", "missing", False, 1)
    assert row.cost_usd is not None and row.usage.total is not None
    assert row.diagnosis is not None and row.diagnosis.failure == "infrastructure/interrupted"


def test_an_attempt_under_way_has_no_status_yet(tmp_path: Path) -> None:
    run = one(tmp_path, CRASHED)
    lock = run.lock()
    try:
        assert [(r.state, r.run, r.proven, r.diagnosis) for r in rows(run)] == [("open", None, None, None)]
    finally:
        run.unlock(lock)
    assert [r.run for r in rows(run)] == ["crashed"]


def test_an_unlaunched_attempt_is_known_not_to_be_launched(found: list[Row]) -> None:
    assert pick(found, "tomli-loads", "mini-swe-agent", number=1).launched is False


def test_only_the_declared_method_counts(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE)
    store = next(run.attempts())
    (good,) = store.evaluations()
    store.add_evaluation(
        good.model_copy(
            update={
                "digest": "0" * 24,
                "declared": False,
                "method": Method(version=9),
                "verdict": good.verdict.model_copy(update={"proven": False, "correctness": "fail"}),
            }
        )
    )
    (row,) = rows(run)
    assert (row.proven, row.correctness, row.undeclared_evaluations) == (True, "pass", 1)


def test_the_newest_rules_give_the_status(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE)
    store = next(run.attempts())
    old = store.status("rules-3")
    assert old is not None
    store.write_status(
        old.model_copy(
            update={"rules": "rules-3", "derived_at": old.derived_at.replace(year=2030), "patch": "no_effect"}
        )
    )
    assert [(r.rules, r.patch) for r in rows(run)] == [("rules-3", "no_effect")]


@pytest.mark.parametrize("name", ["attempt.json", "derived/rules-3.json"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe\x00", b'{"format": "speedproof/attempt/99"}'])
def test_a_damaged_record_is_a_row_that_says_so(tmp_path: Path, name: str, damage: bytes) -> None:
    run = one(tmp_path, GENUINE, QUOTA)
    store = next(run.attempts())
    (store.folder / name).write_bytes(damage)
    first, second = rows(run)
    assert first.error is not None and first.error.startswith(name)
    assert str(tmp_path) not in first.error
    assert first.state == ("damaged" if name == "attempt.json" else "sealed")
    assert second.error is None
    assert detail(store, first).errors


def test_a_damaged_evaluation_leaves_the_verdict_unknown(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE)
    (file,) = (next(run.attempts()).folder / "evaluations").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    (row,) = rows(run)
    assert row.error is not None and row.proven is None and row.patch == "applied"


def test_torn_lines_of_calls_are_counted(tmp_path: Path) -> None:
    run = one(tmp_path, CRASHED)
    store = next(run.attempts())
    with (store.folder / "calls.jsonl").open("ab") as file:
        file.write(b'{"kind": "outc')
    (row,) = rows(run)
    assert (row.calls, row.damaged_lines) == (3, 1)
    assert detail(store).calls[-1].outcome is None


def test_a_patch_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE)
    store = next(run.attempts())
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    (store.folder / "patch.diff").unlink()
    (store.folder / "patch.diff").symlink_to(secret)
    opened = detail(store)
    assert opened.patch is None and opened.errors


def test_a_missing_manifest_is_an_error_with_its_file(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE)
    (run.folder / "run.json").unlink()
    with pytest.raises(RecordError, match=r"run\.json"):
        run_report(run)


def test_the_report_survives_a_round_trip_through_json(tmp_path: Path) -> None:
    run = one(tmp_path, GENUINE, FAST_BUT_WRONG, HOSTILE, CRASHED)
    report = run_report(run)
    assert RunReport.model_validate_json(report.model_dump_json()) == report
    assert report.format == "speedproof/report/2"
