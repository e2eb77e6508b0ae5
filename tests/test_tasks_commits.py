"""From a list of commits to a suite: any usual form of list, every mistake named with its line."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speedproof.errors import InputError
from speedproof.tasks.commits import suite_from_commits
from speedproof.tasks.models import GitSource
from speedproof.tasks.source import fetch
from speedproof.tasks.suite import load_suite
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.git import git

URL = "https://example.org/group/Project.git"
A, B, C = "a1" * 20, "b2" * 20, "12" * 20
JOURNALS = Path(__file__).parents[1].parent / "shared" / "archives" / "thirty-runs"


def sources(tmp_path: Path, listing: str, repository: str = URL) -> list[GitSource]:
    """The tasks' sources after a round through the suite file."""
    (tmp_path / "commits").write_text(listing)
    file = tmp_path / "suite.yaml"
    file.write_text(suite_from_commits(repository, tmp_path / "commits", "my suite"))
    loaded = [t.source for t in load_suite(file).suite.tasks]
    assert all(isinstance(s, GitSource) for s in loaded)
    return [s for s in loaded if isinstance(s, GitSource)]


def refused(tmp_path: Path, listing: str, repository: str = URL) -> InputError:
    (tmp_path / "commits").write_text(listing)
    with pytest.raises(InputError) as caught:
        suite_from_commits(repository, tmp_path / "commits", "s")
    assert caught.value.file == str(tmp_path / "commits")
    return caught.value


def pairs(found: list[GitSource]) -> list[tuple[str, str | None]]:
    return [(s.expert, s.base) for s in found]


def test_a_commit_a_line_with_bases_and_comments(tmp_path: Path) -> None:
    listing = f"# the good ones\n\n{A}\n{B} {A}  # with its base\n\t{C}\r\n"
    found = sources(tmp_path, listing)
    assert pairs(found) == [(A, None), (B, A), (C, None)]
    assert {s.git for s in found} == {URL}


@pytest.mark.parametrize("expert", ["expert", "human", "commit", "commit_hash"])
@pytest.mark.parametrize("base", ["base", "pre", "parent"])
def test_json_of_any_usual_field_names(tmp_path: Path, expert: str, base: str) -> None:
    rows = [{expert: A, base: B, "subject": "faster [list] {dict}"}, {expert: C}]
    assert pairs(sources(tmp_path, json.dumps(rows))) == [(A, B), (C, None)]
    assert pairs(sources(tmp_path, json.dumps(rows, indent=2))) == [(A, B), (C, None)]
    assert pairs(sources(tmp_path, "\n".join(json.dumps(r) for r in rows))) == [(A, B), (C, None)]


def test_json_of_bare_commits(tmp_path: Path) -> None:
    assert pairs(sources(tmp_path, json.dumps([A, B]))) == [(A, None), (B, None)]


def test_tasks_are_named_after_repository_and_commit(tmp_path: Path) -> None:
    (tmp_path / "commits").write_text(f"{A}\n")
    for repository in (URL, "git@host.example:group/Project.git", "../elsewhere/project"):
        text = suite_from_commits(repository, tmp_path / "commits", "s")
        (tmp_path / "suite.yaml").write_text(text)
        assert [t.name for t in load_suite(tmp_path / "suite.yaml").suite.tasks] == [f"project-{A[:8]}"]


def test_commits_that_begin_alike_get_longer_names(tmp_path: Path) -> None:
    twin = A[:10] + "0" * 30
    (tmp_path / "commits").write_text(f"{A}\n{twin}\n")
    (tmp_path / "suite.yaml").write_text(suite_from_commits(URL, tmp_path / "commits", "s"))
    names = [t.name for t in load_suite(tmp_path / "suite.yaml").suite.tasks]
    assert names == [f"project-{A[:12]}", f"project-{twin[:12]}"]


def test_a_commit_of_digits_only_stays_text(tmp_path: Path) -> None:
    assert pairs(sources(tmp_path, f"{C}\n{'0' * 39}1\n")) == [(C, None), ("0" * 39 + "1", None)]


@pytest.mark.parametrize(
    ("listing", "line", "words"),
    [
        (f"{A}\n{B}\n{A}\n", 3, "stands on line 1 already"),
        (f"{A}\nmain\n", 2, "not a commit id"),
        (f"{A}\nabcdef0\n", 2, "is abbreviated"),
        (f"{A} {B} {C}\n", 1, "more than two"),
        (f"\n{A} {A}\n", 2, "same commit"),
        ("", None, "no commits"),
        ("# nothing\n", None, "no commits"),
        ("[]", None, "no commits"),
        (f'["{A}",\n 7]', 2, "neither an object nor"),
        (f'[{{"commit": "{A}"}},\n{{"sha": "{B}"}}]', 2, "no commit id in any of the fields"),
        (f'{{"commit": "{A}"}}\n{{"commit": 7}}', 2, "no commit id"),
        (f'{{"commit": "{A}"}}\n{{"commit" "{B}"}}', 2, "broken JSON"),
        (f'["{A}",\n"{B}"\n', 3, "does not end"),
        (f'["{A}"] x', 1, "does not end"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, listing: str, line: int | None, words: str) -> None:
    error = refused(tmp_path, listing)
    assert words in error.what
    assert error.line == line


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        suite_from_commits(URL, tmp_path / "commits", "s")
    (tmp_path / "commits").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        suite_from_commits(URL, tmp_path / "commits", "s")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=100), st.text(alphabet='[]{}",: \n#ab12', max_size=60).map(str.encode)))
def test_no_bytes_lead_to_anything_but_a_suite_or_an_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "commits").write_bytes(content)
    try:
        suite_from_commits(URL, tmp_path / "commits", "s")
    except InputError as error:
        assert str(error)


@pytest.fixture
def project(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository and the ids of its three commits."""
    path = tmp_path / "project"
    git("init", "--quiet", str(path))
    ids = []
    for number in range(3):
        (path / "a.py").write_text(str(number))
        git("add", "-A", cwd=path)
        identity = ("-c", "user.name=A", "-c", "user.email=a@b")
        git(*identity, "commit", "--quiet", "-m", f"Speed up by the trick number {number}", cwd=path)
        ids.append(git("rev-parse", "HEAD", cwd=path).decode().strip())
    return path, ids


def test_with_a_repository_at_hand_abbreviations_become_full_ids(
    tmp_path: Path, project: tuple[Path, list[str]]
) -> None:
    path, ids = project
    found = sources(tmp_path, f"{ids[1][:8]}\n{ids[2][:8]} {ids[0][:8]}\n", str(path))
    assert pairs(found) == [(ids[1], None), (ids[2], ids[0])]


def test_the_suite_can_be_fetched_and_holds_no_commit_message(tmp_path: Path, project: tuple[Path, list[str]]) -> None:
    path, ids = project
    sources(tmp_path, f"{ids[1]}\n{ids[2]}\n", str(path))
    text = (tmp_path / "suite.yaml").read_text()
    assert "trick" not in text
    suite = load_suite(tmp_path / "suite.yaml")
    cache = Cache(tmp_path / "cache")
    got = [fetch(t, suite.folder, cache, silent) for t in suite.suite.tasks]
    assert [(c.base, c.expert) for c in got] == [(ids[0], ids[1]), (ids[1], ids[2])]


def test_with_a_repository_at_hand_unknown_commits_are_refused(tmp_path: Path, project: tuple[Path, list[str]]) -> None:
    path, ids = project
    error = refused(tmp_path, f"{ids[1]}\n{A}\n", str(path))
    assert error.line == 2
    assert "is not one commit of" in error.what


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "commits").write_text(A)
    with pytest.raises(InputError, match="not a git repository"):
        suite_from_commits(str(tmp_path), tmp_path / "commits", "s")


@pytest.mark.skipif(not JOURNALS.is_dir(), reason="the archive of thirty runs is not on this machine")
def test_the_commits_of_the_archive_of_thirty_runs_become_a_suite(tmp_path: Path) -> None:
    rows: dict[str, dict[str, str]] = {}
    for journal in sorted(JOURNALS.rglob("journal.json")):
        commits = json.loads(journal.read_text())["commits"]
        rows[commits["human"]] = commits
    (tmp_path / "commits.jsonl").write_text("\n".join(json.dumps(row) for row in rows.values()))
    text = suite_from_commits("https://github.com/vllm-project/vllm", tmp_path / "commits.jsonl", "vllm")
    (tmp_path / "suite.yaml").write_text(text)
    loaded = load_suite(tmp_path / "suite.yaml")
    tasks = loaded.suite.tasks
    assert len(tasks) == 96
    assert len({loaded.task_digest(t) for t in tasks}) == 96
    assert all(isinstance(t.source, GitSource) and t.source.base == rows[t.source.expert]["pre"] for t in tasks)
