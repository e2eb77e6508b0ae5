"""A list of commits turned into a suite: what users do first with a hundred commits of one project."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from speedproof.errors import InputError
from speedproof.tasks.git import folder_of, git_directory, is_url
from speedproof.tasks.models import slug
from speedproof.workspace.git import GitError, git
from speedproof.workspace.index import without_login

EXPERT_FIELDS = ("expert", "human", "commit_hash", "commit")
BASE_FIELDS = ("base", "pre", "parent")

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SOME = re.compile(r"[0-9a-f]{7,64}")

_INSTRUCTIONS = """\
Some code of this repository can be made measurably faster without changing what it does. Find a hot path that wastes
time, and make it faster. Public behaviour, results and errors must stay the same.
"""

_HEADER = """\
# {count} tasks from {file}. Before a run, give each task what is known about it: `instructions` that name what
# to make faster (never the commit's message, which holds the answer), workloads and tests (docs/writing-a-task.md).
# Without a workload speed stays not_measured; without tests correctness is unknown.
"""


@dataclass(frozen=True)
class _Line:
    number: int
    expert: str
    base: str | None


def suite_from_commits(repository: str, file: Path, name: str) -> str:
    """A suite file's text with a task for each commit listed in `file`.

    `repository` is a URL or a path; with a repository at that path, commits are looked up in it, and may be
    abbreviated. The file has a commit a line (`EXPERT [BASE] [# comment]`), or JSON (a list, or an object a line)
    with one of EXPERT_FIELDS and perhaps one of BASE_FIELDS. Raises InputError with file and line, and
    SourceError when nobody can tell which folder `repository` is.
    """
    lines = list(_read(file))
    if not lines:
        raise InputError("no commits", file=file, hint="one commit a line: EXPERT [BASE] [# comment]")
    path = None if is_url(repository) else folder_of(repository, Path())
    local = git_directory(path) if path is not None and path.is_dir() else None
    tasks: dict[str, dict[str, str]] = {}
    seen: dict[str, int] = {}
    for line in lines:
        source = {"expert": _full_id(local, line.expert, file, line.number, repository)}
        if line.base is not None:
            source["base"] = _full_id(local, line.base, file, line.number, repository)
            if source["base"] == source["expert"]:
                raise InputError("base and expert are the same commit", file=file, line=line.number)
        first = seen.setdefault(source["expert"], line.number)
        if source["expert"] in tasks:
            raise InputError(f"{line.expert} stands on line {first} already", file=file, line=line.number)
        tasks[source["expert"]] = source
    width = 8
    while len({expert[:width] for expert in tasks}) < len(tasks):
        width += 4
    address = repository if local is None else str(path)
    project = slug(PurePosixPath(re.split(r"[/:]", address.rstrip("/"))[-1]).name.removesuffix(".git"))[:60]
    document = {
        "name": slug(name),
        "defaults": {"instructions": LiteralScalarString(_INSTRUCTIONS)},
        "tasks": [
            {"name": f"{project}-{expert[:width]}", "source": {"git": address, **source}}
            for expert, source in tasks.items()
        ],
    }
    text = StringIO()
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, text)
    return _HEADER.format(count=len(tasks), file=json.dumps(file.name)) + text.getvalue()


def _full_id(local: Path | None, commit: str, file: Path, line: int, repository: str) -> str:
    commit = commit.lower()
    if not _SOME.fullmatch(commit):
        raise InputError(f"{commit!r} is not a commit id", file=file, line=line, hint="7 to 40 hexadecimal digits")
    if local is None:
        if not _FULL.fullmatch(commit):
            raise InputError(
                f"{commit!r} is abbreviated, and {without_login(repository)} is not at hand to look it up",
                file=file,
                line=line,
                hint="write full ids (40 digits), or give the path of a local clone",
            )
        return commit
    try:
        return git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", repository=local).decode().strip()
    except GitError as error:
        raise InputError(
            f"{commit!r} is not one commit of {repository}", file=file, line=line, hint="fetch it, or mend the id"
        ) from error


def _read(file: Path) -> Iterator[_Line]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("the file does not exist", file=file, hint="check the path") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8 text", file=file) from error
    return _read_json(file, text) if text.lstrip()[:1] in {"[", "{"} else _read_lines(file, text)


def _read_lines(file: Path, text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split()
        if len(words) > 2:
            raise InputError("more than two commits on a line", file=file, line=number, hint="EXPERT [BASE]")
        if words:
            yield _Line(number, words[0], words[1] if len(words) == 2 else None)


def _read_json(file: Path, text: str) -> Iterator[_Line]:
    """The entries of one JSON list, or of objects one after the other, each with the line it begins on."""
    decoder = json.JSONDecoder()
    position, end = 0, len(text)
    in_list = text.lstrip().startswith("[")
    if in_list:
        position = text.index("[") + 1
    while True:
        while position < end and text[position] in " \t\r\n,":
            position += 1
        if position == end or (in_list and text[position] == "]"):
            break
        number = text.count("\n", 0, position) + 1
        try:
            entry, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            at = text.count("\n", 0, error.pos) + 1 if isinstance(error, json.JSONDecodeError) else number
            raise InputError(f"broken JSON: {error}", file=file, line=at) from error
        yield _entry(file, number, entry)
    if in_list and text[position:].strip() != "]":
        raise InputError("broken JSON: the list does not end", file=file, line=text.count("\n", 0, position) + 1)


def _entry(file: Path, number: int, entry: object) -> _Line:
    fields = {"expert": entry} if isinstance(entry, str) else entry
    if not isinstance(fields, dict):
        raise InputError("neither an object nor a commit id", file=file, line=number)
    found = [next((fields[f] for f in names if fields.get(f)), None) for names in (EXPERT_FIELDS, BASE_FIELDS)]
    expert, base = found
    if not isinstance(expert, str) or not isinstance(base, str | None):
        raise InputError(
            f"no commit id in any of the fields {', '.join(EXPERT_FIELDS)}", file=file, line=number, hint="as text"
        )
    return _Line(number, expert, base)
