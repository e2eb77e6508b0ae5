"""Whether a patch can change what the program does: comments, whitespace, docstrings and scratch files cannot."""

import ast
import re
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Literal

from pathspec import GitIgnoreSpec

from speedproof.workspace.tree import GITLINK, SYMLINK, Entry, read_blobs, tree_changes

_SCRATCH = {".bak", ".diff", ".log", ".md", ".orig", ".out", ".patch", ".rej", ".rst", ".tmp", ".txt"}
_BUILD = ("cmakelists", "constraints", "requirements")
# Not Go, whose comments can be directives, nor JavaScript, where the end of a line can end a statement.
_FREE_FORM = {".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".java", ".rs"}
_RAW = (b'R"', b'r"', b'r#"', b'"""')
"""Marks of strings in which nothing is a comment."""
_TOKEN = rb"""
    (?P<comment>//LINE|/\*.*?(?:\*/|\Z)|\\\r?\n)
    |(?P<blank>\s+)
    |"(?:\\.|[^"\\STOP])*"?
    |'(?:\\[^\n]|[^'\\\n])'
    |[\w$\x80-\xff]+
    |[][(){};,#/'"]
    |[^][(){};,#/'"\w\s$\x80-\xff\\]+
    |\\
"""


def _tokens(line: bytes, stop: bytes) -> re.Pattern[bytes]:
    """`line`: the rest of a line comment; `stop`: what ends a string that was not closed."""
    return re.compile(_TOKEN.replace(b"LINE", line).replace(b"STOP", stop), re.DOTALL | re.VERBOSE)


_C = _tokens(rb"(?:\\\r?\n|[^\n])*", rb"\n")
_LEXERS = {".java": _tokens(rb"[^\n]*", rb"\n"), ".rs": _tokens(rb"[^\n]*", b"")}
_LARGEST = 1 << 20

Effect = Literal["none", "tests_only", "code"]


def effect_of(repository: Path, before: str, after: str, protected: Sequence[str]) -> Effect:
    """What the change from tree `before` to tree `after` can do; `protected` are git-style patterns of test paths.

    Errs towards "code": only what is known to be without effect is called so.
    """
    changes = tree_changes(repository, before, after)
    effects = {path: _effect_of_kind(path, old, new) for path, (old, new) in changes.items()}
    read = [path for path, effect in effects.items() if effect is None]
    blobs = [entry.blob for path in read for entry in changes[path] if entry is not None]
    if blobs:
        with closing(read_blobs(repository, blobs)) as contents:
            effects |= {path: _says_another_thing(path, next(contents), next(contents)) for path in read}
    effective = [path for path, effect in effects.items() if effect]
    if not effective:
        return "none"
    tests = GitIgnoreSpec.from_lines(protected)
    if all(tests.match_file(p.decode(errors="replace")) for p in effective):
        return "tests_only"
    return "code"


def _effect_of_kind(path: bytes, old: Entry | None, new: Entry | None) -> bool | None:
    """Whether a change has an effect, by what kind of file it is made to; null when its content decides."""
    name = PurePosixPath(path.decode(errors="replace"))
    suffix = name.suffix.lower()
    if suffix in {".md", ".rst"} or (suffix in _SCRATCH and old is None and not name.name.lower().startswith(_BUILD)):
        return False
    unread = old is None or new is None or old.mode != new.mode or new.mode in {SYMLINK, GITLINK}
    return True if unread else None


def _says_another_thing(path: bytes, before: bytes, after: bytes) -> bool:
    name = PurePosixPath(path.decode(errors="replace"))
    if max(len(before), len(after)) > _LARGEST or b"\0" in before + after:
        return True
    if name.suffix in {".py", ".pyi"}:
        old_meaning, new_meaning = _python_meaning(before), _python_meaning(after)
        return old_meaning is None or old_meaning != new_meaning
    old_tokens, new_tokens = _meaning(name.suffix, before), _meaning(name.suffix, after)
    return old_tokens is None or old_tokens != new_tokens


def _python_meaning(source: bytes) -> str | None:
    """The syntax tree without docstrings and places; null when it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the source does wrong is not ours to say
            tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0] if node.body else None
                if (
                    isinstance(first, ast.Expr)
                    and isinstance(first.value, ast.Constant)
                    and isinstance(first.value.value, str)
                ):
                    node.body = node.body[1:]
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _meaning(suffix: str, source: bytes) -> list[bytes] | None:
    """The tokens without comments and whitespace; null where these may mean something.

    Our own few lines instead of a highlighter's lexers: those take hours on text made to that end.
    """
    if suffix not in _FREE_FORM or any(mark in source for mark in _RAW):
        return None
    tokens: list[bytes] = []
    line_begins, directive = True, False
    for match in _LEXERS.get(suffix, _C).finditer(source):
        text, kind = match.group(), match.lastgroup
        ends_line = kind == "blank" and b"\n" in text
        if kind is None:
            directive = directive or (line_begins and text == b"#")
            tokens.append(text)
            line_begins = False
        elif directive:  # in a preprocessor's line a space may count, and the line's end does
            tokens.append(b"\n" if ends_line else b" ")
            if tokens[-2] == b" ":
                del tokens[-2]
        if ends_line:
            line_begins, directive = True, False
    return tokens
