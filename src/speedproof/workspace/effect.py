"""Whether a patch can change what the program does: comments, whitespace, docstrings and scratch files cannot."""

import ast
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from pathspec import GitIgnoreSpec
from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment

from speedproof.workspace.tree import SYMLINK, Entry, list_tree, read_blobs

_SCRATCH = {".bak", ".diff", ".log", ".md", ".orig", ".out", ".patch", ".rej", ".rst", ".tmp", ".txt"}
_BUILD = ("cmakelists", "constraints", "requirements")
# Not Go, whose comments can be directives, nor JavaScript, where the end of a line can end a statement.
_FREE_FORM = {".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".java", ".rs"}
_SILENT = {Comment, Comment.Single, Comment.Multiline}
_LARGEST = 2 << 20

Effect = Literal["none", "tests_only", "code"]


def effect_of(repository: Path, before: str, after: str, protected: Sequence[str]) -> Effect:
    """What the change from tree `before` to tree `after` can do; `protected` are git-style patterns of test paths.

    Errs towards "code": only what is known to be without effect is called so.
    """
    old, new = list_tree(repository, before), list_tree(repository, after)
    changed = [p for p in {*old, *new} if old.get(p) != new.get(p)]
    effective = [p for p in changed if _has_effect(repository, p, old.get(p), new.get(p))]
    if not effective:
        return "none"
    tests = GitIgnoreSpec.from_lines(protected)
    if all(tests.match_file(p.decode(errors="replace")) for p in effective):
        return "tests_only"
    return "code"


def _has_effect(repository: Path, path: bytes, old: Entry | None, new: Entry | None) -> bool:
    name = PurePosixPath(path.decode(errors="replace"))
    suffix = name.suffix.lower()
    if suffix in {".md", ".rst"} or (suffix in _SCRATCH and old is None and not name.name.lower().startswith(_BUILD)):
        return False
    if old is None or new is None or old.mode != new.mode or new.mode == SYMLINK:
        return True
    before, after = read_blobs(repository, [old.blob, new.blob])
    if max(len(before), len(after)) > _LARGEST or b"\0" in before + after:
        return True
    if name.suffix in {".py", ".pyi"}:
        meanings = _python_meaning(before), _python_meaning(after)
    else:
        meanings = _meaning(name.name, before), _meaning(name.name, after)
    return meanings[0] is None or meanings[0] != meanings[1]


def _python_meaning(source: bytes) -> str | None:
    """The syntax tree without docstrings and places; null when it does not parse."""
    try:
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


def _meaning(name: str, source: bytes) -> str | None:
    """The tokens without comments and whitespace; null where whitespace may mean something or no lexer is known."""
    if PurePosixPath(name).suffix not in _FREE_FORM:
        return None
    lexer = get_lexer_for_filename(name)
    tokens = lexer.get_tokens(source.decode(errors="replace"))
    # exact kinds: a preprocessor line is a kind of comment too, and has an effect
    return "\0".join(v.strip() for kind, v in tokens if v.strip() and kind not in _SILENT)
