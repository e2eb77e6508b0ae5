"""The documentation is held to what it says."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from speedproof.cli.app import app
from speedproof.tasks.suite import load_suite

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUNNER = CliRunner()


def fenced(page: Path) -> Iterator[tuple[str, str]]:
    """Kind and text of each code block of a page."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def shown_commands() -> list[tuple[str, list[str]]]:
    """Every speedproof command that a page shows, as (page, words)."""
    found = []
    for page in PAGES:
        for kind, text in fenced(page):
            for line in text.splitlines() if kind in {"", "sh", "bash", "console"} else []:
                words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
                if words and words[0].rpartition("/")[2] == "speedproof" and len(words) > 1:
                    found.append((page.name, words[1:]))
    return found


@pytest.mark.parametrize(("page", "words"), shown_commands(), ids=lambda v: v if isinstance(v, str) else " ".join(v))
def test_every_command_shown_is_one_the_command_line_takes(page: str, words: list[str]) -> None:
    command = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context("speedproof", rest)  # raises on an unknown option, a missing or a spare argument


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"speedproof {name}" in readme
    assert "speedproof suite from-commits" in readme
    assert "make demo" in readme
    assert "make test" in readme


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_task_in_the_readme_loads(tmp_path: Path) -> None:
    blocks = dict(fenced(ROOT / "README.md"))
    (tmp_path / "suite.yaml").write_text(blocks["yaml"])
    (tmp_path / "wrap.py").write_text(blocks["python"])
    assert [t.name for t in load_suite(tmp_path / "suite.yaml").suite.tasks] == ["wrap-long-lines"]


def test_the_commands_that_need_neither_key_nor_network_run_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "commits.txt").write_text("".join(f"{number:040x}\n" for number in range(1, 4)))
    shown = [words for page, words in shown_commands() if page == "README.md" and words[0] in {"suite", "plan"}]
    assert [words[0] for words in shown] == ["suite", "plan"]
    for words in shown:
        result = RUNNER.invoke(app, words)
        assert result.exit_code == 0, result.output
    assert "3 items of 3 tasks" in result.output
