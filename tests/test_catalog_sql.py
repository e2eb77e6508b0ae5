"""Asking the catalog: nothing is written, read or loaded beside it, and what strangers wrote is inert."""

import csv
import io
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from archive_builder import PATCH, imported, journal, put
from record_builder import demo_run
from speedproof.analysis.catalog import TABLES, asked, build_catalog
from speedproof.analysis.catalog.build import SAFE, opened
from speedproof.analysis.catalog.page import BEGIN, END, refresh, tables
from speedproof.cli.catalog import catalog as catalog_command
from speedproof.cli.sql import sql as sql_command
from speedproof.errors import InputError

PAGE = Path(__file__).parents[1] / "docs" / "catalog.md"
HOSTILE = '\x1b[31mred\x1b[0m \x00\u202e\'<b>, "quoted"\nnext'
RUNNER = CliRunner()
APP = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
APP.command("catalog")(catalog_command)
APP.command("sql")(sql_command)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sql")
    body = journal(note=HOSTILE)
    put(folder / "in/state/runs/one/vllm_core-0001", journal__json=body, model_patch__diff=PATCH)
    imported(folder / "in", folder / "state")
    demo_run(folder / "state")
    build_catalog(folder / "state")
    return folder / "state"


def ask(state: Path, query: str) -> list[tuple[Any, ...]]:
    with asked(state / "catalog.duckdb", query) as answer:
        return list(answer.rows())


def printed(*words: object, given: str | None = None) -> str:
    result = RUNNER.invoke(APP, [*map(str, words)], input=given)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    "query",
    [
        "COPY attempts TO '{folder}/out.csv'",
        "COPY (SELECT 1) TO '{folder}/out.parquet'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/other.duckdb'",
        "ATTACH ':memory:' AS other",
        "DETACH catalog",
        "USE memory",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM '{folder}/secret.parquet'",
        "FROM read_text('/etc/passwd')",
        "FROM read_blob('{folder}/*')",
        "FROM glob('/etc/*')",
        "FROM read_json('{folder}/secret.json')",
        "FROM 'https://example.org/data.csv'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FORCE INSTALL spatial FROM 'https://example.org'",
        "SET enable_external_access = true",
        "SET threads = 1",
        "RESET memory_limit",
        "PRAGMA enable_profiling = 'json'",
        "CREATE TABLE new (a INTEGER)",
        "CREATE TEMP TABLE new (a INTEGER)",
        "CREATE TABLE memory.new (a INTEGER)",
        "CREATE SECRET (TYPE s3)",
        "INSERT INTO attempts (attempt) VALUES ('mine')",
        "UPDATE attempts SET strict = true",
        "DELETE FROM attempts",
        "DROP TABLE attempts",
        "ALTER TABLE attempts DROP COLUMN strict",
        "BEGIN",
        "CHECKPOINT",
        "VACUUM",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE DELETE FROM attempts",
        "PREPARE one AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE attempts",
        "",
        "-- nothing",
        "SELEC 1",
        "SELECT nothing FROM attempts",
        "SELECT 'text'::INTEGER",
        "SELECT \x00",
        "SELECT * FROM PAGE",
        "SELECT now()",
        "WITH gone AS (DELETE FROM attempts RETURNING attempt) FROM gone",
        "WITH out AS (COPY attempts TO '{folder}/out.csv') SELECT 1",
        "FROM enable_logging(storage := 'file', storage_config := {'path': '{folder}/log'})",
        "FROM enable_profiling(save_location := '{folder}/profile.json')",
        "FROM read_duckdb('{folder}/other.duckdb', table_name = 't')",
        "FROM query('FROM read_text(''/etc/passwd'')')",
        "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''/etc/passwd'')'))",
        "FROM sniff_csv('{folder}/secret.csv')",
        "SUMMARIZE '{folder}/secret.csv'",
        "IMPORT DATABASE '{folder}'",
        "SELECT getenv('HOME')",
    ],
)
def test_what_does_not_read_the_catalog_is_refused(state: Path, tmp_path: Path, query: str) -> None:
    for name in ("secret.csv", "secret.json", "secret.parquet"):
        (tmp_path / name).write_text('{"a": 1}\n')
    before, bytes_before = sorted(tmp_path.iterdir()), (state / "catalog.duckdb").read_bytes()
    with pytest.raises(InputError):
        ask(state, query.replace("{folder}", str(tmp_path)))
    assert sorted(tmp_path.iterdir()) == before
    assert (state / "catalog.duckdb").read_bytes() == bytes_before


@pytest.mark.parametrize(
    "query",
    [
        "FROM attempts",
        "VALUES (1)",
        "DESCRIBE attempts",
        "SUMMARIZE usages",
        "SHOW TABLES",
        "WITH a AS (SELECT 1 AS x) SELECT x FROM a",
        "PIVOT attempts ON run_status USING count(*)",
        "SELECT * FROM runs WHERE created_at > now() - INTERVAL 1 DAY",
        "SELECT value ->> '$.bytes' FROM facts WHERE kind = 'map'",
    ],
)
def test_whatever_reads_is_answered(state: Path, query: str) -> None:
    ask(state, query)


def test_a_wrong_query_is_told_with_its_place(state: Path) -> None:
    with pytest.raises(InputError, match=r'Referenced column "nothing" not found(.|\n)*LINE 2:   nothing'):
        ask(state, "SELECT\n  nothing FROM attempts")


def test_a_query_that_takes_too_much_memory_fails_and_writes_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SAFE, "memory_limit", "60MB")
    before = sorted(path.name for path in state.iterdir())
    with pytest.raises(InputError, match="Out of Memory"):
        ask(state, "SELECT repeat('x', 10000000) || range FROM range(100) ORDER BY 1")
    assert sorted(path.name for path in state.iterdir()) == before


def test_a_query_without_end_stops_at_ctrl_c(state: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
    try:
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ask(state, "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t")
        assert time.monotonic() - began < 5
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("begun", [False, True])
def test_ctrl_c_in_the_moment_in_which_a_query_begins_stops_it(
    state: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    submit = ThreadPoolExecutor.submit

    def interrupted(worker: ThreadPoolExecutor, work: Callable[[], Any]) -> None:
        submit(worker, work)
        time.sleep(0.3 * begun)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask(state, "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t")
    assert time.monotonic() - began < 5


def test_what_strangers_wrote_is_inert_on_the_terminal(state: Path) -> None:
    out = printed("sql", "SELECT value FROM facts WHERE path = 'note'", "--state", state)
    assert "\x1b" not in out and "\x00" not in out and "\u202e" not in out
    assert "␛[31mred" in out and "1 row" in out


def test_csv_and_json_hold_the_very_text(state: Path) -> None:
    query = "SELECT value, number, NULL::VARCHAR AS none, '' AS empty, [1, 2] AS list FROM facts WHERE path = 'note'"
    text = printed("sql", query, "--csv", "--state", state)
    header, line = csv.reader(io.StringIO(text, newline=""))
    assert header == ["value", "number", "none", "empty", "list"]
    assert (line[0], line[4]) == (HOSTILE, "[1, 2]")
    assert ',,,"","[1, 2]"' in text  # null is nothing, an empty text is not
    as_json = printed("sql", query, "--json", "--state", state)
    assert "\x1b" not in as_json
    assert json.loads(as_json) == [{"value": HOSTILE, "number": None, "none": None, "empty": "", "list": [1, 2]}]


def test_json_gives_every_kind_of_value_and_every_column(state: Path) -> None:
    query = """SELECT 1 AS a, 2 AS a, 'nan'::DOUBLE AS nan, 1.5::DECIMAL(4, 2) AS money, DATE '2025-01-02' AS day,
        TIMESTAMP '2025-01-02 03:04:05' AS at, INTERVAL 1 DAY AS long, {'k': [1]} AS map, '\\xAA'::BLOB AS bytes,
        170141183460469231731687303715884105727::HUGEINT AS huge, uuid() IS NOT NULL AS known"""
    (row,) = json.loads(printed("sql", query, "--json", "--state", state))
    assert row == {
        "a": 1,
        "a_2": 2,
        "nan": None,
        "money": 1.5,
        "day": "2025-01-02",
        "at": "2025-01-02T03:04:05",
        "long": "1 day, 0:00:00",
        "map": {"k": [1]},
        "bytes": "aa",
        "huge": 2**127 - 1,
        "known": True,
    }
    assert json.loads(printed("sql", "FROM attempts WHERE false", "--json", "--state", state)) == []


def test_a_broad_row_is_drawn_as_a_list_and_a_long_answer_is_cut(state: Path) -> None:
    out = printed("sql", "FROM attempts", "--state", state)
    assert "row 1" in out and "recorded_success" in out
    out = printed("sql", "SELECT range FROM range(600)", "--state", state)
    assert "499" in out and "500\n" not in out
    assert "the first 500 rows" in out
    assert printed("sql", "SELECT range FROM range(600)", "--csv", "--state", state).count("\n") == 601


def test_a_query_comes_from_a_file_or_from_standard_input(state: Path, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text("SELECT 41 + 1 AS answer")
    assert "42" in printed("sql", "--file", tmp_path / "query.sql", "--state", state)
    assert "42" in printed("sql", "-", "--state", state, given="SELECT 41 + 1")
    for words in ([], ["FROM attempts", "--file", tmp_path / "query.sql"], ["--file", tmp_path / "missing.sql"]):
        with pytest.raises(InputError):
            printed("sql", *words, "--state", state)
    (tmp_path / "query.sql").write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        printed("sql", "--file", tmp_path / "query.sql", "--state", state)
    with pytest.raises(InputError, match="exclude"):
        printed("sql", "FROM attempts", "--csv", "--json", "--state", state)


def test_an_old_catalog_is_asked_only_on_demand_and_that_is_said(tmp_path: Path) -> None:
    run = demo_run(tmp_path)
    build_catalog(tmp_path)
    store = next(run.attempts())
    (store.folder / "note.txt").write_text("new")
    query = "SELECT count(*) AS notes FROM files WHERE path = 'note.txt'"
    old = RUNNER.invoke(APP, ["sql", query, "--csv", "--no-rebuild", "--state", str(tmp_path)])
    assert old.stdout == '"notes"\n0\n' and "not made of the files as they are now" in old.stderr
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    shutil.copy(tmp_path / "catalog.duckdb", alone)
    assert printed("sql", query, "--csv", "--no-rebuild", "--state", alone) == '"notes"\n0\n'
    new = RUNNER.invoke(APP, ["sql", query, "--csv", "--state", str(tmp_path)])
    assert new.stdout == '"notes"\n1\n' and new.stderr == ""


def test_the_catalog_command_says_how_much_is_in_it_and_writes_parquet(state: Path, tmp_path: Path) -> None:
    out = printed("catalog", "--state", state)
    assert all(table.name in out for table in TABLES)
    made = json.loads(printed("catalog", "--json", "--parquet", tmp_path / "out", "--state", state))
    assert sorted(Path(file).name for file in made["parquet"]) == sorted(f"{table.name}.parquet" for table in TABLES)
    import duckdb

    with duckdb.connect() as connection:
        for table in TABLES:
            read = connection.read_parquet(str(tmp_path / "out" / f"{table.name}.parquet"))
            assert read.columns == [column.name for column in table.columns]
            assert len(read.fetchall()) == made["tables"][table.name]
    with pytest.raises(InputError, match="not empty"):
        printed("catalog", "--parquet", tmp_path / "out", "--state", state)


def test_the_page_holds_the_tables_of_today() -> None:
    inside = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert inside.strip() == tables(), "run the command in src/speedproof/analysis/catalog/page.py"


def test_refreshing_the_page_writes_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    refresh(page)
    assert page.read_text() == f"before\n{BEGIN}\n\n{tables()}\n\n{END}\nafter\n"
    page.write_text("nothing here")
    with pytest.raises(InputError, match="marks"):
        refresh(page)


EXAMPLES = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text().split(BEGIN)[0], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("query", EXAMPLES, ids=lambda query: re.sub(r"\W+", " ", query)[:40].strip())
def test_the_questions_of_the_page_are_answered(state: Path, query: str) -> None:
    ask(state, query)
    assert len(EXAMPLES) > 8


def test_all_that_is_loaded_came_with_the_database(state: Path) -> None:
    with opened(state / "catalog.duckdb") as connection:
        found = connection.execute("SELECT DISTINCT install_mode FROM duckdb_extensions() WHERE loaded").fetchall()
    assert found == [("STATICALLY_LINKED",)]
