"""What was shown that should not be: the expert's change to an agent, and keys in files."""

import re
from collections.abc import Iterable
from itertools import islice

from speedproof.archives.gathered import Gathered, place_at
from speedproof.archives.kind import Content
from speedproof.archives.search import AnyOf
from speedproof.journal.foreign_parts import SecretSeen, ShownOfExpert
from speedproof.journal.redaction import REDACTED

_SHORT = 8
"""Digits of a commit's hash that name it."""
_DIFF = re.compile(rb"^diff --git a/\S", re.MULTILINE)
_STAT = re.compile(rb"^ ?\d+ files? changed, \d+ (?:insertion|deletion)", re.MULTILINE)
_PROMPTS = ("task", "prompt")
_KEYS = {
    "provider key": re.compile(rb"(?<![A-Za-z0-9])(?:sk|rk|pk)-(?=[A-Za-z_-]{0,200}\d)[A-Za-z0-9_-]{16,}"),
    "AWS key": re.compile(rb"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}"),
    "GitHub token": re.compile(rb"(?<![A-Za-z0-9])(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{16,}"),
    "Hugging Face token": re.compile(rb"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
    "Google key": re.compile(rb"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{16,}"),
    "JSON web token": re.compile(rb"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "private key": re.compile(rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"),
}
"""Narrower than what is taken out of texts: hf_text_config is a name in many a program, and of a key that its provider
has masked with asterisks nobody can make use."""
_ANY_KEY = AnyOf(
    r"(?:sk|rk|pk)-[A-Za-z0-9_-]{16}|A[KS]IA[A-Z0-9]{12}|gh[pousr]_[A-Za-z0-9_]{16}|github_pat_"
    r"|hf_[A-Za-z0-9]{30}|AIza[A-Za-z0-9_-]{16}|eyJ[A-Za-z0-9_-]{8}|PRIVATE KEY-----"
)
_TOLD = 12
"""Bytes of a key that no excerpt may hold, its beginning included."""
_MOST = 1_000
"""Keys of one kind that are counted in one piece."""


def look_for_expert(found: Gathered, content: Content) -> None:
    """Note where a prompt, log or trajectory names the expert's commit, and where a prompt shows a change."""
    where = _where(content)
    if where is None or content.data is None:
        return
    commit = found.commit or ""
    if len(commit) >= _SHORT:
        mark = commit[:_SHORT].encode(errors="replace")
        begin = content.data.find(mark)
        if begin >= 0:
            times = content.data.count(mark, begin)
            found.shown.append(_shown("hash", where, times, content, begin))
    if where != "prompt":
        return
    for what, word, pattern in (("diff", b"diff --git a/", _DIFF), ("diffstat", b" changed, ", _STAT)):
        hits = [hit.start() for hit in pattern.finditer(content.data)] if word in content.data else []
        if hits:
            found.shown.append(_shown(what, where, len(hits), content, hits[0]))
            found.shown_lines |= set(added_lines(content.data)) if what == "diff" else set()


def _shown(what: str, where: str, times: int, content: Content, begin: int) -> ShownOfExpert:
    evidence = place_at(content.name, content.data or b"", begin)
    return ShownOfExpert.model_validate({"what": what, "where": where, "times": times, "evidence": evidence})


def _where(content: Content) -> str | None:
    if content.kind in ("log", "trajectory"):
        return str(content.kind)
    return "prompt" if is_prompt(content) else None


def is_prompt(content: Content) -> bool:
    """Whether a file is the text of a prompt: a text, and named so."""
    return content.kind == "text" and content.name.rpartition("/")[2].lower().startswith(_PROMPTS)


def added_lines(data: bytes) -> Iterable[bytes]:
    """The lines that a diff in a text adds, without blanks around them; short ones, which stand anywhere, left out."""
    lines = (line[1:].strip() for line in data.split(b"\n") if line.startswith(b"+") and not line.startswith(b"+++"))
    return (line for line in lines if len(line) > 3)


def secrets_in(file: str, data: bytes, before: int = 0) -> list[SecretSeen]:
    """Keys that stand in a piece of a file, `before` lines into it: kind, how often and the first place; never the
    value."""
    if not _ANY_KEY.may_stand_in(data):
        return []
    seen = []
    for kind, pattern in _KEYS.items():
        hits = [hit for hit in islice(pattern.finditer(data), _MOST) if data[hit.end() : hit.end() + 1] != b"*"]
        if hits:
            where = place_at(file, data, hits[0].start())
            told = where.excerpt if hits[0][0][:_TOLD].decode() not in where.excerpt else REDACTED
            where = where.model_copy(update={"line": (where.line or 1) + before, "excerpt": told})
            seen.append(SecretSeen(kind=kind, times=len(hits), evidence=where))
    return seen
