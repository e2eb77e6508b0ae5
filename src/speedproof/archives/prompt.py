"""What an agent was told: its exact text as a digest, and its wording, the task's particulars taken out, as another."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from speedproof.journal.base import canonical_json

_ITSELF, _RECORD, _PARTS, _MAYBE_CUT = 3, 2, 1, 0
"""How much a file tells: it is the prompt; it records it; it holds its parts; it records it, and may be cut short."""
_CUT_CHARS = 200
"""Records of the earlier harness were cut to so many characters; another file of the prompt is then better."""
_LARGEST = 1 << 20
"""Characters of a prompt whose wording is looked at."""
_CACHED = 500
"""Characters of a line that is kept for the next prompt."""
_SHORT = 4
"""A shorter name is no name of a task: it stands in words."""

_OPENING = re.compile(r"<((?:\w{1,40}_)?(?:script|diff|patch|examples?|code|tests?|files?|issue|description|problem))>")
_PATH = re.compile(r"(?<![\w.@+=/~-])(?:~|\.{1,2})?/?(?:[\w.@+=,-]+/)+[\w.@+=,*-]*|(?<![\w.@+/~-])/[\w.@+-]+")
_NAMED = re.compile(r"([-*] `?)[\w+=,-]+(?:\.\w+)+(?=`?$)")
"""A line of a list that is the name of a file."""
_HASH = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,64}\b")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt in a file."""

    file: str
    """The file."""
    text: str
    """What stands there."""
    rank: int
    """How much the file tells."""
    parts: dict[str, Any] | None = None
    """Of a file of its parts: these."""

    def sha256(self) -> str:
        """Digest of the exact text."""
        return hashlib.sha256(self.text.encode(errors="replace")).hexdigest()

    def template_sha256(self, names: Iterable[str | None]) -> str:
        """Digest of the wording: without blocks of code, paths, hashes, `names`; a list of paths is one line."""
        text = self.text
        if self.parts is not None:  # commits and files of the task are no wording
            text = canonical_json({n: v for n, v in self.parts.items() if n not in ("commits", "target_files")})
        return hashlib.sha256(wording(text[:_LARGEST], names).encode(errors="replace")).hexdigest()


def wording(text: str, names: Iterable[str | None]) -> str:
    """A prompt's text without the particulars of its task."""
    text = _without_fences(_without_blocks(text))
    lines: list[str] = []
    for line in text.split("\n"):
        words = _line(line) if len(line) <= _CACHED else _line.__wrapped__(line)
        if words and (not lines or words != lines[-1]):
            lines.append(words)
    text = "\n".join(lines)
    for name in sorted({name for name in names if name and len(name) >= _SHORT}, key=len, reverse=True):
        text = text.replace(name, "<name>")
    return text


@lru_cache(maxsize=4096)
def _line(line: str) -> str:
    """One line of the wording. Prompts share most of theirs, and the expressions take long."""
    words = " ".join(line.split())
    if "/" in words:
        words = _PATH.sub("<path>", words)
    words = _HASH.sub("<hash>", words)
    return _NAMED.sub(r"\1<path>", words) if words.startswith(("- ", "* ")) else words


def _without_blocks(text: str) -> str:
    """The text with the content of each block of code, example or problem left out."""
    kept: list[str] = []
    end = 0
    never: set[str] = set()
    for opening in _OPENING.finditer(text):
        tag = opening[1]
        if opening.start() < end or tag in never:
            continue
        closing = text.find(f"</{tag}>", opening.end())
        if closing < 0:
            never.add(tag)  # looked for once: a text of nothing but openings must not take long
            continue
        kept.append(text[end : opening.end()])
        end = closing
    return "".join([*kept, text[end:]])


def _without_fences(text: str) -> str:
    """The text with what stands between two lines of ``` left out."""
    parts = text.split("\n```")
    if len(parts) % 2 == 0:
        parts[-2:] = ["\n```".join(parts[-2:])]  # the last one is never closed
    return "\n```".join(part if index % 2 == 0 else "" for index, part in enumerate(parts))


def of_file(file: str, data: bytes) -> Prompt:
    """A file that is the prompt."""
    return Prompt(file, data.decode(errors="replace"), _ITSELF)


def of_record(file: str, text: Any) -> Prompt | None:
    """The prompt as the agent's own record holds it."""
    if not isinstance(text, str) or not text:
        return None
    return Prompt(file, text, _RECORD if len(text) > _CUT_CHARS else _MAYBE_CUT)


def of_parts(file: str, data: bytes | None, value: dict[str, Any]) -> Prompt:
    """A file of the parts that a prompt was made of."""
    return Prompt(file, "" if data is None else data.decode(errors="replace"), _PARTS, value)


def better(one: Prompt | None, other: Prompt | None) -> Prompt | None:
    """The more telling of two; the first where both tell as much."""
    if one is None or other is None:
        return one or other
    return other if other.rank > one.rank else one
