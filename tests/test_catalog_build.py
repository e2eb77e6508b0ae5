"""The catalog is built from the files of runs and archives, and is never other than they are without saying so."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive_builder import PATCH, QUOTA, attempts, imported, journal, put, trajectory, usage
from record_builder import CRASHED, GENUINE, build, demo_run, plan
from record_builder import QUOTA as QUOTA_RUN
from speedproof.analysis.catalog import TABLES, VIEWS, asked, build_catalog, current_catalog, is_current
from speedproof.analysis.collection import collect
from speedproof.analysis.measures import measured
from speedproof.archives.store import archives
from speedproof.errors import InputError, RecordError
from speedproof.journal import Store

MODEL = "openai/gpt-5"


def ask(catalog: Path, query: str) -> list[tuple[Any, ...]]:
    with asked(catalog, query) as answer:
        return list(answer.rows())


def archive(root: Path) -> Path:
    """Two runs: a success, its second copy, a failure by quota, a folder with a torn journal."""
    good = {
        "journal__json": journal(),
        "model_patch__diff": PATCH,
        "trajectory__json": trajectory(usage(1_000, 50, 400), usage(2_000, 70, 1_500)),
    }
    put(root / "state/runs/one/vllm_core-0001", **good)
    put(root / "state/runs/copied/vllm_core-0001", **good)
    failed = journal("error", 1, timestamps={"written": 1_760_437_999.5}, odd={"deep": [1, {"text": "x"}]})
    put(root / "state/runs/two/vllm_core-0002", journal__json=failed, trajectory__json=trajectory(error=QUOTA))
    put(root / "state/runs/two/vllm_core-0003", journal__json='{"task_id": "vl', model_patch__diff="")
    return root


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    imported(archive(folder / "archive"), folder / "state")
    demo_run(folder / "state")
    build_catalog(folder / "state")
    return folder / "state"


@pytest.fixture(scope="module")
def catalog(state: Path) -> Path:
    return state / "catalog.duckdb"


def test_every_attempt_of_every_run_and_archive_is_one_row(state: Path, catalog: Path) -> None:
    imported_ids = [a.id for store in archives(state) for a in store.attempts()]
    own = [store.name for run in Store(state).runs() for store in run.attempts()]
    rows = ask(catalog, "SELECT attempt, id, own FROM attempts")
    assert sorted(key for _, key, name in rows if name is None) == sorted(imported_ids)
    assert sorted(name for _, _, name in rows if name is not None) == sorted(own)
    assert len({name for name, _, _ in rows}) == len(rows)


def test_what_counts_is_what_a_collection_counts(state: Path, catalog: Path) -> None:
    collection = collect([], state)
    kept = dict(ask(catalog, "SELECT coalesce(apart, 'counted'), count(*) FROM attempts GROUP BY ALL"))
    assert kept == {
        "counted": len(collection.entries),
        "copy": len(collection.copies),
        "control": len(collection.controls),
    }
    assert ask(catalog, "SELECT sum(attempts) FROM success_rules") == [(len(collection.entries),)]
    assert ask(catalog, "SELECT sum(attempts) FROM costs") == [(len(collection.entries),)]


def test_every_field_of_a_foreign_journal_can_be_asked_for(catalog: Path) -> None:
    found = ask(catalog, "SELECT path, kind, value, number FROM facts WHERE path LIKE 'odd%' ORDER BY path")
    assert found == [("odd.deep[0]", "number", "1", 1.0), ("odd.deep[1].text", "text", "x", None)]
    assert ask(catalog, "SELECT DISTINCT file FROM facts") == [("journal.json",)]


def test_tokens_stand_by_source_and_by_the_best(catalog: Path) -> None:
    best = "SELECT usage_input, usage_cache_read, usage_output, usage_total FROM attempts WHERE strict AND own IS NULL"
    assert set(ask(catalog, best)) == {(3_000, 1_900, 120, 3_120)}
    assert ask(catalog, "SELECT source, input FROM usages WHERE number = 1 AND input = 3000 LIMIT 1") == [
        ("trajectory", 3_000)
    ]


def test_a_failure_stands_with_its_evidence(catalog: Path) -> None:
    query = """SELECT diagnosis_failure, evidence.file, excerpt LIKE '%quota%' FROM attempts
        JOIN evidence USING (attempt) WHERE shows = 'diagnosis' AND run = 'two' AND item LIKE '%0002'"""
    assert ask(catalog, query) == [("model/quota/exhausted", "trajectory.json", True)]
    assert ask(catalog, "SELECT path, what FROM problems") == [("state/runs/two/vllm_core-0003/journal.json", "broken")]


def test_an_own_run_is_there_with_its_calls_and_evaluations(state: Path, catalog: Path) -> None:
    (run,) = Store(state).runs()
    stores = list(run.attempts())
    evaluations = [(store.name, e) for store in stores for e in store.evaluations()]
    found = ask(
        catalog, "SELECT attempt, digest, correctness, speed, proven FROM evaluations WHERE counts ORDER BY ALL"
    )
    assert found == sorted(
        (name, e.digest, e.verdict.correctness, e.verdict.speed, e.verdict.proven) for name, e in evaluations
    )
    query = """SELECT round(e.speedup, 2), e.low < e.speedup, expert_speedup, a.speedup = e.speedup
        FROM evaluations AS e JOIN attempts AS a USING (attempt) WHERE task = 'sortedlib-merge' AND agent = 'codex'"""
    assert ask(catalog, query) == [(1.42, True, 1.57, True)]
    asked_for = [record for store in stores for _, record in store.calls()[0] if record.kind == "intent"]
    assert ask(catalog, "SELECT count(*), count(answered_at) FROM calls") == [(len(asked_for), len(asked_for) - 1)]
    query = "SELECT count(*), sum(usage_output), max(sent ->> '$.temperature') FROM calls WHERE status = 200"
    ((answered, output, temperature),) = ask(catalog, query)
    assert (output, temperature) == (310 * answered, "1")
    assert ask(catalog, "SELECT planned, attempts FROM runs WHERE suite = 'pypi'") == [(10, len(stores))]


def test_the_funnel_says_of_each_rung_who_is_unknown(state: Path, catalog: Path) -> None:
    rungs = ask(catalog, "SELECT reached, missed, unknown FROM funnel ORDER BY rung")
    (everyone,) = ask(catalog, "SELECT count(*) FROM attempts WHERE counted")[0]
    assert len(rungs) == 8
    for reached, missed, unknown in rungs:
        assert reached + missed + unknown == everyone
        everyone = reached
    ((_, _, silent),) = ask(catalog, "SELECT reached, missed, unknown FROM funnel WHERE name = 'called the model'")
    assert silent == len(measured(collect([], state), "called_the_model").unknown)
    ((faster, _, _),) = ask(catalog, "SELECT reached, missed, unknown FROM funnel WHERE name = 'faster than base'")
    assert faster == 2  # the two genuine ones


def test_an_attempt_under_way_does_not_count_and_has_no_status_yet(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan("a-task", "codex", MODEL), [CRASHED])])
    lock = run.lock()
    try:
        catalog = build_catalog(tmp_path)
        query = "SELECT counted, apart, run_status, strict, diagnosis_failure FROM attempts"
        assert ask(catalog, query) == [(False, "under way", None, None, None)]
        assert ask(catalog, "FROM errors") == []
        assert is_current(tmp_path)
    finally:
        run.unlock(lock)
    assert not is_current(tmp_path)
    assert ask(current_catalog(tmp_path), query)[0][:3] == (True, None, "crashed")


def test_it_is_built_anew_when_files_have_changed_and_only_then(tmp_path: Path) -> None:
    run = build(tmp_path, [(plan("a-task", "codex", MODEL), [QUOTA_RUN]), (plan("b-task", "codex", MODEL), [GENUINE])])
    catalog = current_catalog(tmp_path)
    built = catalog.stat().st_ino
    assert current_catalog(tmp_path).stat().st_ino == built
    folder = next(run.attempts()).folder
    calls = folder / "calls.jsonl"
    calls.write_text("".join(calls.read_text().splitlines(keepends=True)[:-1]) + '{"kind": "outc')
    assert not is_current(tmp_path)
    assert ask(current_catalog(tmp_path), "SELECT path, what FROM problems") == [
        (f"{folder.relative_to(run.folder)}/calls.jsonl", "damaged")
    ]
    imported(archive(tmp_path / "archive"), tmp_path)
    assert ask(current_catalog(tmp_path), "SELECT kind, attempts FROM sources ORDER BY kind") == [
        ("archive", 4),
        ("run", 2),
    ]


def test_a_damaged_catalog_is_built_anew(tmp_path: Path) -> None:
    build(tmp_path, [(plan("a-task", "codex", MODEL), [QUOTA_RUN])])
    (tmp_path / "catalog.duckdb").write_bytes(b"no database" * 1_000)
    assert ask(current_catalog(tmp_path), "SELECT count(*) FROM attempts") == [(1,)]


def test_without_runs_and_archives_the_next_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="speedproof import"):
        build_catalog(tmp_path)
    with pytest.raises(RecordError, match="speedproof catalog"):
        ask(tmp_path / "catalog.duckdb", "SELECT 1")


def test_a_reader_keeps_what_it_reads_while_another_is_put_in_place(tmp_path: Path) -> None:
    build(tmp_path, [(plan("a-task", "codex", MODEL), [QUOTA_RUN])])
    catalog = build_catalog(tmp_path)
    with asked(catalog, "SELECT task FROM attempts") as before:
        build(tmp_path, [(plan("b-task", "codex", MODEL), [QUOTA_RUN])], "20250602-090000-c0ffee")
        build_catalog(tmp_path)
        with asked(catalog, "SELECT task FROM attempts ORDER BY task") as after:
            assert list(after.rows()) == [("a-task",), ("b-task",)]
        assert list(before.rows()) == [("a-task",)]


BUILD = (
    "import sys; from pathlib import Path; from speedproof.analysis.catalog import *; build_catalog(Path(sys.argv[1]))"
)


def test_two_that_build_at_once_do_no_harm_and_a_killed_one_leaves_the_old_one(state: Path, catalog: Path) -> None:
    rows = ask(catalog, "SELECT attempt FROM attempts ORDER BY attempt")
    killed = subprocess.Popen([sys.executable, "-c", BUILD, state])
    while not list(state.glob(".catalog.duckdb.*")) and killed.poll() is None:
        time.sleep(0.001)
    killed.kill()
    killed.wait()
    assert ask(catalog, "SELECT attempt FROM attempts ORDER BY attempt") == rows
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(build_catalog, [state, state])) == [catalog, catalog]
    assert ask(catalog, "SELECT attempt FROM attempts ORDER BY attempt") == rows
    assert sorted(path.name for path in state.glob(".catalog*")) == [".catalog.lock"]


def test_on_a_full_disk_there_is_no_catalog_or_a_whole_one(full_disk: Path, tmp_path: Path) -> None:
    attempts(archive(tmp_path / "in"), full_disk)
    refused = 0
    for kib in range(100, 6000, 800):
        subprocess.run(["mount", "-o", f"remount,size={kib}k", str(full_disk)], check=True)
        try:
            assert ask(build_catalog(full_disk), "SELECT count(*) FROM attempts") == [(4,)]
            break
        except RecordError as error:
            refused += 1
            assert "No space left" in str(error)
        assert sorted(path.name for path in full_disk.iterdir()) == [".catalog.lock", "archives"]
    else:
        pytest.fail("there was never room enough")
    assert refused > 1


def test_settings_stand_with_their_places_and_are_kept_current(tmp_path: Path) -> None:
    config = "max_steps: 50\nmodel_providers:\n  openai:\n    parallel_tool_calls: true\n"
    put(tmp_path / "in", trae_config__yaml=config)
    attempts(archive(tmp_path / "in"), tmp_path / "state")
    catalog = build_catalog(tmp_path / "state")
    query = "SELECT value, how, file, line, attempt FROM settings WHERE key = 'parallel_tool_calls'"
    assert ask(catalog, query) == [("true", "configured", "trae_config.yaml", 4, None)]
    (store,) = archives(tmp_path / "state")
    (store.folder / "settings.jsonl").write_text("")
    assert not is_current(tmp_path / "state")


def test_hostile_journals_are_kept_as_text_and_break_nothing(tmp_path: Path) -> None:
    body = journal(huge=10**400, nan=float("nan"))
    body["trae"]["returncode"] = 10**30
    body["note'\"\x00"] = "nul \x00 end"
    deep = "[" * 60 + '"half \\ud800 pair"' + "]" * 60
    text = json.dumps(body)[:-1] + f', "deep": {deep}}}'
    put(tmp_path / "in/state/runs/one'; DROP TABLE facts/item \x1b[2J", journal__json=text, model_patch__diff=PATCH)
    (record,) = attempts(tmp_path / "in", tmp_path / "state")
    catalog = build_catalog(tmp_path / "state")
    facts = {path: (value, number) for path, value, number in ask(catalog, "SELECT path, value, number FROM facts")}
    assert len(facts) == len(record.facts)
    assert facts["trae.returncode"] == (str(10**30), 1e30)
    assert facts["note'\"\x00"] == ("nul \x00 end", None)
    assert ask(catalog, "SELECT run FROM attempts") == [("one'; DROP TABLE facts",)]


def test_what_a_column_cannot_hold_is_null_and_a_problem(tmp_path: Path) -> None:
    put(tmp_path / "in/state/runs/one/item", journal__json=journal(), model_patch__diff=PATCH)
    (record,) = attempts(tmp_path / "in", tmp_path / "state")
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    changed = record.model_copy(update={"steps": 10**30, "ended": late, "wall_s": 1e300, "facts": {"a:b": 10**30}})
    (store,) = archives(tmp_path / "state")
    (store.folder / "attempts.jsonl").write_text(changed.model_dump_json() + "\n")
    catalog = build_catalog(tmp_path / "state")
    assert ask(catalog, "SELECT steps, ended, wall_s FROM attempts") == [(None, None, 1e300)]
    assert ask(catalog, "SELECT path FROM problems WHERE what = 'unfit' ORDER BY path") == [
        ("one/item: attempts.ended",),
        ("one/item: attempts.steps",),
    ]
    assert ask(catalog, "SELECT file, path, value FROM facts") == [(None, "a:b", str(10**30))]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(facts=st.dictionaries(st.text(), JSON, max_size=6), texts=st.lists(st.text(), min_size=2, max_size=2))
def test_whatever_an_archive_holds_is_stored(tmp_path: Path, facts: dict[str, Any], texts: list[str]) -> None:
    state = tmp_path / "state"
    if not state.exists():
        attempts(archive(tmp_path / "in"), state)
    (store,) = archives(state)
    first = next(store.attempts())
    changed = first.model_copy(update={"facts": facts, "task": texts[0], "usage_why": texts[1], "duplicate_of": None})
    (store.folder / "attempts.jsonl").write_text(changed.model_dump_json() + "\n")
    catalog = build_catalog(state)
    assert ask(catalog, "SELECT task, usage_why FROM attempts") == [(texts[0], texts[1])]
    found = ask(catalog, "SELECT file, path, value FROM facts")
    assert len(found) == len(facts)
    values = {path if file is None else f"{file}:{path}": value for file, path, value in found}
    for key, value in facts.items():
        if isinstance(value, str) or value is None:
            assert values[key] == value
        else:
            assert json.loads(values[key]) == value


def test_names_of_columns_are_unique_and_need_no_quotes(catalog: Path) -> None:
    query = "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'"
    reserved = {word for (word,) in ask(catalog, query)}
    for table in TABLES:
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names), table.name
        assert not reserved.intersection(names), table.name
        assert all(column.meaning for column in table.columns), table.name


def test_views_have_the_columns_that_are_declared(catalog: Path) -> None:
    for view in VIEWS:
        with asked(catalog, f"FROM {view.name}") as answer:
            assert [name for name, _ in answer.columns] == list(view.columns), view.name


def test_what_a_column_means_can_be_asked_too(catalog: Path) -> None:
    undocumented = "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND comment IS NULL"
    assert ask(catalog, undocumented) == []
