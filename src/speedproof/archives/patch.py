"""What the text of a patch tells: paths, lines, tests, scratch, whether it changes more than comments."""

import hashlib
import re
from pathlib import PurePosixPath

from speedproof.journal.foreign_parts import ForeignPatch, ForeignPatchStatus

OWN = "model_patch.diff"
_HEAD = re.compile(rb"^diff --git (?:a/(?P<a>.*?) b/(?P<b>.*)|\"(?P<quoted>.*)\")$", re.MULTILINE)
_SCRATCH = {".bak", ".diff", ".log", ".md", ".orig", ".out", ".patch", ".rej", ".rst", ".tmp"}
_TESTS = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|[^/]*_test\.\w+$|conftest\.py$)")
_EXPERTS = re.compile(r"(?:expert|human|gold|reference|ground[_-]?truth)(?![a-z])")
_NOT_TEXT = (b"GIT binary patch", b"Binary files", b"rename to", b"deleted file", b"new mode")
"""Lines that say of a file that more than its text changes."""
_HASH_LANGUAGES = {".py", ".pyi", ".sh", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".cmake", ".txt"}
_LARGEST = 16 << 20
"""Bytes of a patch whose lines are looked at."""


def patch_of(file: str, data: bytes) -> ForeignPatch:
    """The facts of a patch."""
    text = data[:_LARGEST]
    files: list[str] = []
    new: list[str] = []
    added = removed = hunks = 0
    comments_only = True
    scratch = False
    in_hunk, old_left, new_left = False, 0, 0
    pound = False
    for line in text.split(b"\n"):
        if in_hunk and (old_left > 0 or new_left > 0):
            first = line[:1]
            if first == b"+":
                added, new_left = added + 1, new_left - 1
            elif first == b"-":
                removed, old_left = removed + 1, old_left - 1
            elif first == b"\\":
                continue
            else:
                old_left, new_left = old_left - 1, new_left - 1
                continue
            if comments_only and not scratch and not _is_comment(line[1:], pound):
                comments_only = False
            continue
        in_hunk = False
        if line.startswith(b"diff --git "):
            path = _path(line)
            files.append(path)
            scratch = is_scratch(path)
            pound = PurePosixPath(path).suffix in _HASH_LANGUAGES or path.endswith("CMakeLists.txt")
        elif line.startswith(b"@@"):
            found = re.match(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", line)
            if found:
                in_hunk, hunks = True, hunks + 1
                old_left = 1 if found[1] is None else int(found[1][:9])
                new_left = 1 if found[2] is None else int(found[2][:9])
        elif line.startswith(b"new file mode") and files:
            new.append(files[-1])
        elif line.startswith(_NOT_TEXT) and not scratch:
            comments_only = False
        elif line.startswith(b"+++ ") and not files:
            files.append(line[4:].removeprefix(b"b/").decode(errors="replace"))
    unique = tuple(dict.fromkeys(files))
    return ForeignPatch(
        file=file,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        files=unique[:500],
        added=added,
        removed=removed,
        hunks=hunks,
        new_files=tuple(dict.fromkeys(new))[:500],
        own_file=any(PurePosixPath(path).name == OWN for path in unique),
        tests=tuple(path for path in unique if _TESTS.search(path))[:500],
        scratch=tuple(path for path in unique if is_scratch(path))[:500],
        comments_only=comments_only,
    )


def status_of(patch: ForeignPatch | None) -> ForeignPatchStatus:
    """What kind of patch it is."""
    if patch is None:
        return "missing"
    if patch.size == 0:
        return "empty"
    code = set(patch.files) - set(patch.scratch)
    if patch.comments_only and patch.files:
        return "no_effect"
    return "tests_only" if code and code <= set(patch.tests) else "present"


def is_experts(name: str) -> bool:
    """Whether a patch file is the expert's own, by its name: its content tells nobody apart."""
    return _EXPERTS.match(PurePosixPath(name).name.lower()) is not None


def is_scratch(path: str) -> bool:
    """Whether a file is no part of the program by its name alone."""
    return PurePosixPath(path).suffix.lower() in _SCRATCH


def _is_comment(line: bytes, pound: bool) -> bool:
    stripped = line.strip()
    if not stripped:
        return True
    return stripped.startswith(b"#" if pound else (b"//", b"/*", b"*/", b"* "))


def _path(line: bytes) -> str:
    found = _HEAD.match(line)
    if found is None:
        return line[len(b"diff --git ") :].decode(errors="replace")[:1000]
    path = found["b"] if found["b"] is not None else (found["quoted"] or b"").rpartition(b' "b/')[2]
    return path.decode(errors="replace")[:1000]
