"""Suite files: what is wrong is said with file, line and field; the same task has the same digest everywhere."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedproof.errors import InputError
from speedproof.tasks.suite import load_suite

GOOD = """\
name: demo
defaults:
  instructions: Make it faster.
tasks:
  - name: one
    source: {git: ../repository, expert: abcdef0}
    workloads:
      - name: work
        command: python /task/work.py
        files: [work.py]
  - name: two
    source:
      pypi:
        package: thing
        base: {version: "1.0"}
        expert: {version: "1.1"}
        files: {thing.py: src/thing.py}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "work.py").write_text("print()\n")
    file = tmp_path / "suite.yaml"
    file.write_text(GOOD)
    return file


def refused(file: Path, text: str | bytes) -> InputError:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as caught:
        load_suite(file)
    assert caught.value.file == str(file)
    return caught.value


def test_a_good_suite_loads_with_its_defaults_merged_in(suite: Path) -> None:
    tasks = load_suite(suite).suite.tasks
    assert [t.name for t in tasks] == ["one", "two"]
    assert {t.instructions for t in tasks} == {"Make it faster."}


def test_broken_yaml_is_refused_with_its_line(suite: Path) -> None:
    error = refused(suite, GOOD + "  - name: [three\n")
    assert error.line is not None
    assert error.line >= 17
    assert "broken YAML" in error.what


def test_an_unknown_field_is_refused_with_its_name_and_line(suite: Path) -> None:
    error = refused(suite, GOOD.replace("    workloads:", "    worloads:"))
    assert error.line == 7
    assert "tasks.0.worloads" in error.what


def test_an_unknown_field_deep_in_a_task_is_refused_with_its_line(suite: Path) -> None:
    error = refused(suite, GOOD.replace("        files: [work.py]", "        file: [work.py]"))
    assert error.line == 10
    assert "tasks.0.workloads.0.file" in error.what


def test_a_pypi_source_is_told_what_is_wrong_with_it_and_not_that_git_is_missing(suite: Path) -> None:
    error = refused(suite, GOOD.replace('version: "1.0"', "version: 1.0"))
    assert error.line == 15
    assert error.what.startswith("tasks.1.source.pypi.base.version")


def test_files_outside_the_sdist_are_refused(suite: Path) -> None:
    assert "'..'" in refused(suite, GOOD.replace("src/thing.py", "../thing.py")).what


def test_a_missing_field_is_refused_with_the_task_s_line(suite: Path) -> None:
    error = refused(suite, GOOD.replace("  instructions: Make it faster.\n", "  build: make\n"))
    assert error.line == 5
    assert "instructions" in error.what


def test_a_missing_file_is_refused_with_task_and_name(suite: Path) -> None:
    error = refused(suite, GOOD.replace("[work.py]", "[wrok.py]"))
    assert "task one" in error.what
    assert "wrok.py" in error.what
    assert error.line == 5


def test_two_tasks_of_the_same_name_are_refused(suite: Path) -> None:
    assert "two tasks are named 'one'" in refused(suite, GOOD.replace("name: two", "name: one")).what


def test_base_and_expert_of_the_same_version_are_refused(suite: Path) -> None:
    assert "same version" in refused(suite, GOOD.replace('"1.1"', '"1.0"')).what


def test_invalid_utf_8_is_refused_with_its_line(suite: Path) -> None:
    error = refused(suite, GOOD.encode() + b"  - name: \xff\n")
    assert error.line == 18
    assert "UTF-8" in error.what


def test_a_key_given_twice_is_refused_with_its_line(suite: Path) -> None:
    assert refused(suite, GOOD + "name: again\n").line == 18


@pytest.mark.parametrize("text", ["", "- 1\n", "just words\n", "null\n"])
def test_what_is_no_mapping_is_refused(suite: Path, text: str) -> None:
    assert "a suite is a mapping" in refused(suite, text).what


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_suite(tmp_path / "suite.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        load_suite(tmp_path)


@pytest.mark.parametrize("text", ["name: 0x_\n", "!!int x\n", "2001-99-99\n", "name: !!binary abc\n", "[" * 1200])
def test_what_the_yaml_parser_stumbles_over_is_broken_yaml(suite: Path, text: str) -> None:
    assert "broken YAML" in refused(suite, text).what


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), at=st.integers(0, len(GOOD)))
def test_no_bytes_lead_to_anything_but_a_suite_or_an_input_error(suite: Path, noise: bytes, at: int) -> None:
    for content in (noise, GOOD.encode()[:at] + noise + GOOD.encode()[at:]):
        suite.write_bytes(content)
        try:
            load_suite(suite)
        except InputError as error:
            assert str(error)


def digests(file: Path, text: str) -> list[str]:
    file.write_text(text)
    loaded = load_suite(file)
    return [loaded.task_digest(t) for t in loaded.suite.tasks]


def test_a_task_s_digest_does_not_depend_on_names_limits_or_order(suite: Path) -> None:
    before = digests(suite, GOOD)
    assert digests(suite, GOOD.replace("name: demo", "name: other").replace("name: one", "name: eins")) == before
    limits = "defaults:\n  limits: {wall_s: 5, steps: 3}\n"
    assert digests(suite, GOOD.replace("defaults:\n", limits)) == before
    assert digests(suite, GOOD.replace("files: [work.py]", "files: [work.py]\n        timeout_s: 3")) == before
    head, one, two = GOOD.partition("  - name: one")[0], *GOOD.partition("  - name: one")[2].split("  - name: two")
    assert digests(suite, f"{head}  - name: two{two}  - name: one{one}") == before[::-1]


def test_a_task_s_digest_depends_on_its_content_and_its_files(suite: Path) -> None:
    before = digests(suite, GOOD)[0]
    assert digests(suite, GOOD.replace("Make it faster", "Make it slower"))[0] != before
    assert digests(suite, GOOD.replace("abcdef0", "abcdef1"))[0] != before
    (suite.parent / "work.py").write_text("print(1)\n")
    assert digests(suite, GOOD)[0] != before


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: &b {c: *b}\n", 2), ("&a\nb: *a\n", 1), ("a:\n- &s [1, {x: *s}]\n", 2), ("a: &a {<<: *a}\n", 1)],
)
def test_an_alias_within_what_it_names_is_refused_with_its_line(suite: Path, text: str, line: int) -> None:
    error = refused(suite, text)
    assert (error.line, error.what) == (line, "broken YAML: an alias stands within what it names")


def test_aliases_that_stand_elsewhere_are_welcome(suite: Path) -> None:
    suite.write_text(GOOD.replace("../repository", "&there ../repository") + "    build: *there\n")
    assert load_suite(suite).suite.tasks[1].build == "../repository"


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("tasks.0.source.git", "../repository", '"a\\0b"'),
        ("tasks.0.source.expert", "abcdef0", '"a\\0b"'),
        ("tasks.0.workloads.0.command", "python /task/work.py", '"a\\0b"'),
        ("tasks.1.build", "  - name: two", '  - build: "a\\0b"\n    name: two'),
        ("tasks.1.environment.env", "  - name: two", '  - environment: {env: {A: "a\\0b"}}\n    name: two'),
        (
            "tasks.1.environment.requirements",
            "  - name: two",
            '  - environment: {requirements: ["\\0"]}\n    name: two',
        ),
    ],
)
def test_a_nul_is_refused_with_field_and_line(suite: Path, field: str, old: str, new: str) -> None:
    error = refused(suite, GOOD.replace(old, new))
    assert error.what == f"{field}: holds a NUL character"
    assert error.line is not None


def test_a_workload_yields_something(suite: Path) -> None:
    error = refused(suite, GOOD.replace("files: [work.py]", "metrics: []"))
    assert error.what.startswith("tasks.0.workloads.0.metrics: ")
