"""How an audit looks: on the terminal, as JSON, as SARIF 2.1.0, in the documentation, and what its exit code says."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from typer.testing import CliRunner

from archive_builder import QUOTA, imported, put
from audit_builder import attempt, journal, later, untimed
from speedproof.analysis.audit import RULES, Audit, audit
from speedproof.analysis.audit.page import BEGIN, END, refresh, table
from speedproof.analysis.collection import collect
from speedproof.cli.audit import audit as command
from speedproof.errors import InputError, RecordError
from speedproof.report.sarif import sarif

PAGE = Path(__file__).parents[1] / "docs" / "audit.md"
RUNNER = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer(rich_markup_mode=None)
    made.command()(command)
    return made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """An archive with an error, a warning and a note, and one attempt in which nothing is wrong."""
    root = tmp_path / "some archive"
    attempt(root)
    attempt(root, run="b", item="bad", journal__json=later(code=1), trajectory__json=untimed(error=QUOTA))
    imported(root, tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    attempt(tmp_path / "sound")
    imported(tmp_path / "sound", tmp_path / "well")
    return tmp_path / "well"


def audited(state: Path) -> Audit:
    return audit(collect((), state), state)


def test_the_page_on_audits_shows_the_rules_as_they_are() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == table(), "run speedproof.analysis.audit.page.refresh(Path('docs/audit.md'))"


def test_refreshing_a_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert refresh(page) == page.read_text() == f"before\n{BEGIN}\n\n{table()}\n\n{END}\nafter\n"
    page.write_text("nothing here")
    with pytest.raises(InputError, match="marks"):
        refresh(page)


def test_every_rule_says_what_it_finds_why_and_what_to_do() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id)
        assert rule.why.endswith((".", ")")) and rule.do.endswith(".") and not rule.title.endswith(".")
        assert f"`{rule.id}`" in table()
        assert "|" not in rule.title + rule.why + rule.do


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 1),
        (["--fail-on", "never"], 0),
        (["--fail-on", "note"], 1),
        (["--rule", "patch-tests", "--fail-on", "note"], 0),
        (["--rule", "success-nonzero-exit", "--rule", "patch-tests"], 1),
        (["--rule", "patch-identical"], 0),
        (["--rule", "patch-identical", "--fail-on", "warning"], 1),
        (["--rules"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_the_exit_code_says_whether_there_is_something_as_grave(
    app: typer.Typer, state: Path, options: list[str], code: int
) -> None:
    result = RUNNER.invoke(app, ["--state", str(state), *options])
    assert result.exit_code == code, result.output


def test_a_sound_archive_ends_with_zero(app: typer.Typer, sound: Path) -> None:
    result = RUNNER.invoke(app, ["--state", str(sound), "--fail-on", "note"])
    assert result.exit_code == 0, result.output
    assert "0 errors · 0 warnings · 0 notes" in result.output
    assert "Nothing found by: success-nonzero-exit" in result.output


@pytest.mark.parametrize("words", [["--rule", "nonsense"], ["no-such-archive"], ["--sarif", "/nowhere/at/all/x.sarif"]])
def test_bad_input_is_refused(app: typer.Typer, state: Path, words: list[str]) -> None:
    result = RUNNER.invoke(app, ["--state", str(state), *words])
    assert isinstance(result.exception, InputError)


def test_the_terminal_shows_why_what_to_do_and_where(app: typer.Typer, state: Path) -> None:
    text = RUNNER.invoke(app, ["--state", str(state), "--rule", "success-nonzero-exit"]).output
    assert "Audit of some-archive-" in text and "2 attempts, 0 second copies" in text
    assert "error   success-nonzero-exit: 1 finding · 1 attempt" in text
    assert "Do: Count it by exit_and_patch, strict or confirmed" in text
    assert "- b/bad: recorded as success, and its process ended with exit code 1" in text
    assert "state/runs/b/bad/journal.json (trae.returncode) returncode: 1" in text


def test_all_rules_are_listed(app: typer.Typer) -> None:
    text = RUNNER.invoke(app, ["--rules"]).output
    assert all(rule.id in text for rule in RULES)


def test_the_json_holds_every_finding(app: typer.Typer, state: Path) -> None:
    text = RUNNER.invoke(app, ["--state", str(state), "--json"]).output
    assert Audit.model_validate_json(text) == audited(state)


def test_strangers_cannot_write_on_the_terminal(app: typer.Typer, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    attempt(root, run="a\x1b[31m", item="b\u202e", journal__json=journal(error="\x1b]0;owned\x07", code=1))
    put(root / "c", journal__json="")
    imported(root, tmp_path / "state")
    text = RUNNER.invoke(app, ["--state", str(tmp_path / "state")]).output
    assert "recorded as success" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_sarif_is_written_and_valid(app: typer.Typer, state: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.sarif"
    RUNNER.invoke(app, ["--state", str(state), "--sarif", str(file)])
    log = json.loads(file.read_text())
    check_sarif(log)
    run = log["runs"][0]
    assert len(run["tool"]["driver"]["rules"]) == len(RULES)
    assert len(run["results"]) == sum(each.count for each in audited(state).rules)
    for result in run["results"]:
        for place in result["locations"]:
            uri = unquote(place["physicalLocation"]["artifactLocation"]["uri"])
            assert (tmp_path / "some archive" / uri).exists()
    assert str(tmp_path) not in file.read_text()


def test_a_full_disk_leaves_the_earlier_sarif_file_whole(app: typer.Typer, state: Path, full_disk: Path) -> None:
    file = full_disk / "audit.sarif"
    file.write_text("earlier")
    (full_disk / "filler").write_bytes(b"x" * (56 << 10))
    done = RUNNER.invoke(app, ["--state", str(state), "--sarif", str(file)])
    assert isinstance(done.exception, RecordError)
    assert f"{file}: cannot be written: No space left on device\n  next: free space" in str(done.exception)
    assert sorted(p.name for p in full_disk.iterdir()) == ["audit.sarif", "filler"]
    assert file.read_text() == "earlier"


def test_a_fingerprint_outlives_a_second_audit(state: Path) -> None:
    def prints() -> list[str]:
        results = json.loads(sarif(audited(state)))["runs"][0]["results"]
        return [each["partialFingerprints"]["finding/v1"] for each in results]

    assert prints() == prints()
    assert len(set(prints())) == len(prints())


def test_hostile_names_make_no_hostile_addresses(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    name = "javascript:alert(1)#?%41 \u202e\x1b[31m"
    attempt(root, run=name, item="x", journal__json=journal(code=1))
    imported(root, tmp_path / "state")
    log = json.loads(sarif(audited(tmp_path / "state")))
    check_sarif(log)
    for result in log["runs"][0]["results"]:
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"[A-Za-z0-9/._%~-]+", uri)
        assert "\x1b" not in result["message"]["text"] and "\u202e" not in result["message"]["text"]


def check_sarif(log: dict[str, Any]) -> None:
    """What SARIF 2.1.0 demands of the properties that are used here (its JSON schema and sections 3.13 to 3.52)."""
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    assert set(log) <= {"$schema", "version", "runs", "inlineExternalProperties", "properties"}
    (run,) = log["runs"]
    assert set(run) <= {"tool", "originalUriBaseIds", "columnKind", "results"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    driver = run["tool"]["driver"]
    assert driver["name"] and set(driver) <= {"name", "version", "semanticVersion", "informationUri", "rules"}
    levels = {"none", "note", "warning", "error"}
    names = [rule["id"] for rule in driver["rules"]]
    assert len(set(names)) == len(names)
    for rule in driver["rules"]:
        assert set(rule) <= {"id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration"}
        assert all(rule[part]["text"] for part in ("shortDescription", "fullDescription", "help"))
        assert rule["defaultConfiguration"]["level"] in levels
    bases = run["originalUriBaseIds"]
    assert all(set(base) <= {"uri", "uriBaseId", "description"} for base in bases.values())
    for result in run["results"]:
        allowed = {"ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations", "partialFingerprints"}
        assert set(result) <= allowed | {"properties"}
        assert names[result["ruleIndex"]] == result["ruleId"] and result["level"] in levels
        assert result["message"]["text"]
        assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
        for place in [*result.get("locations", ()), *result.get("relatedLocations", ())]:
            check_location(place, set(bases))


def check_location(place: dict[str, Any], bases: set[str]) -> None:
    assert set(place) <= {"id", "physicalLocation", "logicalLocations"}
    physical = place["physicalLocation"]
    artifact = physical["artifactLocation"]
    assert artifact["uriBaseId"] in bases
    assert not artifact["uri"].startswith("/") and not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", artifact["uri"])
    assert ".." not in artifact["uri"].split("/")
    if "region" in physical:
        assert type(physical["region"]["startLine"]) is int and physical["region"]["startLine"] >= 1
    assert all(each["fullyQualifiedName"] for each in place.get("logicalLocations", ()))
    if "id" in place:
        assert type(place["id"]) is int and place["id"] >= 0
