"""What was shown that should not be: the expert's change to an agent, and keys in logs."""

import re
from collections.abc import Iterable

from pydantic_core import SchemaValidator, core_schema

from speedproof.archives.gathered import Gathered, place_at
from speedproof.archives.kind import Content
from speedproof.journal.foreign_parts import SecretSeen, ShownOfExpert
from speedproof.journal.redaction import redact

_SHORT = 8
"""Digits of a commit's hash that name it."""
_DIFF = re.compile(rb"^diff --git a/\S", re.MULTILINE)
_STAT = re.compile(rb"^ ?\d+ files? changed, \d+ (?:insertion|deletion)", re.MULTILINE)
_PROMPTS = ("task", "prompt")
_KEYS = {
    "provider key": (b"sk-",),
    "AWS key": (b"AKIA", b"ASIA"),
    "GitHub token": (b"ghp_", b"github_pat_"),
    "Hugging Face token": (b"hf_",),
    "Google key": (b"AIza",),
    "JSON web token": (b"eyJ",),
    "private key": (b"PRIVATE KEY-----",),
}
_ANY_KEY = SchemaValidator(
    core_schema.str_schema(
        pattern=r"sk-[A-Za-z0-9_*-]{8}|A[KS]IA[A-Z0-9]{12}|ghp_|github_pat_|hf_[A-Za-z0-9]{30}|AIza|eyJ"
        r"|PRIVATE KEY-----",
        regex_engine="rust-regex",
    )
)
"""Whether any of them stands in bytes that are UTF-8: in one pass, ten times as fast as looking for each."""
_TEXT = SchemaValidator(core_schema.str_schema())
_HF = re.compile(rb"hf_[A-Za-z0-9]{30,}")
"""Narrower than what is taken out of texts: hf_text_config is a name in many a program."""
_MOST = 50
"""Places at which one shape is tried in one piece."""
_LONGEST_KEY = 200


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
            times = content.data.count(mark)
            found.shown.append(_shown("hash", where, times, content, begin))
    if where != "prompt":
        return
    for what, pattern in (("diff", _DIFF), ("diffstat", _STAT)):
        hits = [hit.start() for hit in pattern.finditer(content.data)]
        if hits:
            found.shown.append(_shown(what, where, len(hits), content, hits[0]))
    if _DIFF.search(content.data):
        found.shown_lines |= set(added_lines(content.data))


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


def secrets_in(file: str, data: bytes) -> list[SecretSeen]:
    """Keys that stand in a piece of a log: kind, how often and the first place; never the value."""
    if not _ANY_KEY.isinstance_python(data) and _TEXT.isinstance_python(data):
        return []
    seen = []
    for kind, marks in _KEYS.items():
        hits = [at for mark in marks for at in _hits(data, mark)]
        if hits:
            seen.append(SecretSeen(kind=kind, times=len(hits), evidence=place_at(file, data, min(hits))))
    return seen


def _hits(data: bytes, mark: bytes) -> list[int]:
    found: list[int] = []
    begin = data.find(mark)
    for _ in range(_MOST):
        if begin < 0:
            break
        start = max(0, begin - 12)
        text = data[start : begin + _LONGEST_KEY].decode(errors="replace")
        if redact(text) != text and (mark != b"hf_" or _HF.match(data, begin)):
            found.append(begin)
        begin = data.find(mark, begin + len(mark))
    return found
