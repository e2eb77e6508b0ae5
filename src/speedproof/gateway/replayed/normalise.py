"""What of a request stays the same when the same agent does the same once more (docs/replay.md says what does not).

A request is read by its dialect into its head (parameters, instructions, tools) and the entries of its conversation.
In both, what varies between two runs is replaced by its kind: ‹time›, ‹duration›, ‹id› … Nothing else is touched.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from speedproof.gateway.protocols import route
from speedproof.gateway.protocols.dialect import Unreadable
from speedproof.journal.base import canonical_json
from speedproof.sandbox.box import HOME, WORKSPACE

_SAID = {"messages", "input", "contents"}
_NESTED = {"generateContentRequest", "generate_content_request"}

_DAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_CLOCK = (
    r"\d{1,2}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?: ?[AP]M\b)?"
    r"(?: ?(?:Z|UTC|GMT|CES?T|[ECMP][SD]T|BST|JST)\b| ?[+-]\d\d:?\d\d\b)?"
)
_TIMES = (
    rf"((?<![\d.])(?:19|20)\d\d[-/](?:0?[1-9]|1[0-2])[-/](?:[12]\d|3[01]|0?[1-9])(?!\d)(?:[T ,]{{1,2}}{_CLOCK})?)",
    r"(\b20\d{6}[T_-]\d{6}Z?\b)",
    rf"(\b(?:{_DAY},?\s+)?{_MONTH}\s+\d{{1,2}}(?:,?\s+{_CLOCK}(?:,?\s+(?:19|20)\d\d\b)?|,?\s+(?:19|20)\d\d\b(?:,?\s+{_CLOCK})?))",
    rf"(\b{_DAY},?\s+{_MONTH}\s+\d{{1,2}}\b)",
    rf"(\b(?:{_DAY},?\s+)?\d{{1,2}}\s+{_MONTH}\s+(?:19|20)\d\d\b(?:,?\s+{_CLOCK})?)",
    r"((?<![\w.:])\d{1,2}:[0-5]\d:[0-5]\d(?:[.,]\d+)?(?: ?[AP]M)?(?![\w:]))",
    r"((?<![\w.:])\d{1,2}:[0-5]\d ?[AP]M\b)",
    r"((?<![\w.])1[5-9]\d{8}(?:\.\d{1,9}|\d{3}|\d{6}|\d{9})?(?![\w.]?\d)\b)",
)
_NUMBER = r"(?<![\w.])\d+(?:,\d{3}){0,4}(?:\.\d+)?(?:e[-+]?\d+)?"
_UNIT = (
    r"(?:ns|nsecs?|nanoseconds?|[µμu]s|usecs?|microseconds?|ms|msecs?|milliseconds?|s|secs?|seconds?|mins?|minutes?|"
    r"hrs?|hours?)"
)
_DURATIONS = (
    r"((?<![\w.])\d+h ?\d+m(?: ?\d+(?:\.\d+)?s)?\b)",
    r"((?<![\w.])\d+m ?\d+(?:\.\d+)?s\b)",
    rf"({_NUMBER} ?{_UNIT}\b)",
    rf"\b(?:elapsed|duration|took|(?:wall|run)?[ _-]?time)(?:[ _]\(?{_UNIT}\)?)?[\"']? ?[:=] ?({_NUMBER})",
    rf"({_NUMBER}) ?[kKMG]?(?:i?B|it|ops|calls|items|iterations)/s(?:ec)?\b",
    rf"({_NUMBER}) loops\b",
    r"((?<![\w.])\d+\.\d+) ?[x×](?!\w)",
    r"((?<![\w.])(?:\d+\.\d{6,}(?:e[-+]?\d+)?|\d+(?:\.\d+)?e-\d+)(?![\w.]))",
)
_MAKER = r"(?:call|toolu|srvtoolu|msg|fco?|cto?|rs|resp|chatcmpl|gen|req|ses|prt|thread|run)"
_IDS = (
    r"(?<![0-9A-Za-z])([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?![0-9A-Za-z])",
    rf"\b{_MAKER}[_-]((?=[A-Za-z]*\d)[A-Za-z0-9]{{12,}})(?![0-9A-Za-z])",
    r"(?<![0-9A-Za-z.])((?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64})(?![0-9A-Za-z])",
    r"(?:^|\bOutput: )(\d{7}) (?=[A-Za-z])",  # one commit in 27 has an abbreviation without a letter
    r"^\[[^\]\s]{1,200} (?:\(root-commit\) )?(\d{7})\] ",
    r"\bsession ID (\d+)\b",
)
_NAMES = (r"/tmp/(tmp[a-z0-9_]{8}|tmp\.[A-Za-z0-9]{6,12}|[\w-]+[.-](?=[a-z]*[A-Z0-9])[A-Za-z0-9]{6,10})(?![\w.-])",)
_PROCESSES = (r"(?i:\bpid)\W{1,3}(\d+)\b", r"^\[\d+\] (\d+)$")
_LISTED = re.compile(r"[-dlbcps][rwxsStT-]{9}[+@.]? ")
_TELLS = re.compile(r"\d|/tmp/|\bChunk ID")
"""What a line that holds anything of this must hold."""
_LISTINGS = (
    r"^[-dlbcps][rwxsStT-]{9}[+@.]? (\d+) ",  # links: a folder has one for each folder in it
    r"^d[rwxsStT-]{9}[+@.]? ‹listing› \S+ \S+ (\d+) ",  # a folder's size depends on its disk
    r"^total (\d+)$",
)
_REST = {
    "listing": _LISTINGS,
    "address": (r"\b(0x[0-9a-f]{9,16})\b",),
    "port": (r"(?:127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1\]):(\d{2,5})\b",),
    "tokens": (r"\bOriginal token count: (\d+)\b",),
    "chunk": (r"\bChunk ID: ([0-9a-f]{6})\b",),
    "system": (
        r"\bLinux[ -]((?:[\w.-]{1,64} )?\d+\.\d+\.\d[\w.+-]*(?: #\d+[^\n\"]{0,60}?(?= x86_64| aarch64))?)",
        r"\bkernel (\d+\.\d+\.\d[\w.+-]*)",
    ),
}
_KINDS: Mapping[str, tuple[str, ...]] = {
    "name": _NAMES,
    "time": _TIMES,
    "id": _IDS,
    "process": _PROCESSES,
    **_REST,
    "duration": _DURATIONS,
}
"""Kinds of what varies, in the order in which they are looked for; the one group of each pattern is what varies."""
_SPOKEN = {"name", "id", "process"}
"""Kinds that a model takes up in its answer: the commit it just made, the process to wait for."""
_PATTERNS = [(kind, re.compile(pattern)) for kind, patterns in _KINDS.items() for pattern in patterns]
_PLACE = re.compile(r"(?:/[^/\s\"'<>]{1,100}){0,10}/work/tmp\w{8}/attempt-\w{8}/(tree/workspace|home)\b")
_TIMED = re.compile(
    r"duration|elapsed|took|wall_?time|latency|timestamp|(?:created|updated|modified)_?at$", re.IGNORECASE
)


@dataclass(frozen=True)
class Normal:
    """A request without what varies."""

    head: Any
    """Everything but the conversation, by key."""
    entries: tuple[Any, ...]
    """Messages or items of the conversation."""


class _Reader:
    """Replaces what varies, and keeps what a model may take up."""

    def __init__(self, calls: Mapping[str, int] = {}) -> None:
        """`calls`: ids of tool calls, numbered."""
        self.calls = calls
        self.spoken: list[str] = []
        self._replacing = [(pattern, partial(self._replace, kind)) for kind, pattern in _PATTERNS]

    def value(self, value: Any, key: str = "") -> Any:
        match value:
            case str() if key == "model":
                return value  # its name may hold a date, and says which one it is
            case str():
                if key.lower().endswith("id") and value in self.calls:
                    return f"‹call {self.calls[value]}›"
                return self._text_or_json(value, key)
            case bool() | None:
                return value
            case int() | float():
                return "‹duration›" if _TIMED.search(key) else self._number(value)
            case list():
                return [self.value(inner, key) for inner in value]
            case _:
                return {name: self.value(value[name], name) for name in sorted(value)}

    def text(self, text: str) -> str:
        if "/attempt-" in text:
            text = _PLACE.sub(lambda found: HOME if found[1] == "home" else WORKSPACE, text)
        return "\n".join(self._line(line) if _TELLS.search(line) else line for line in text.split("\n"))

    def _line(self, line: str) -> str:
        if _LISTED.match(line):
            line = re.sub(" +", " ", line)  # columns are as wide as their numbers
        for pattern, replace in self._replacing:
            line = pattern.sub(replace, line)
        return line

    def _text_or_json(self, text: str, key: str) -> Any:
        """A text, read as JSON where it is an object or a list: two spellings of one value are the same."""
        if text[:1] in {"{", "["} and text[-1:] in {"}", "]"}:
            try:
                return {"‹JSON›": self.value(json.loads(text), key)}
            except ValueError:
                pass  # it only looks like it
        return self.text(text)

    def _number(self, number: float) -> Any:
        spelled = repr(number)
        text = self.text(spelled)
        return number if text == spelled else text

    def _replace(self, kind: str, found: re.Match[str]) -> str:
        if kind in _SPOKEN:
            self.spoken.append(found[1])
        whole, at = found[0], found.start()
        return f"{whole[: found.start(1) - at]}‹{kind}›{whole[found.end(1) - at :]}"


class Normaliser:
    """Tells whether two requests are the same. Every entry is read once, however often its conversation comes."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def digests(self, method: str, path: str, body: bytes) -> tuple[str, ...]:
        """Digests of what stays the same: of method, path and head, then of each entry."""
        head, entries = _parts(method, path, body)
        return tuple(self._digest(calls, part) for calls, part in [({}, [method, path, head]), *entries])

    def _digest(self, calls: Mapping[str, int], part: Any) -> str:
        try:
            raw = _sha256([calls, part])
            if raw not in self._known:
                self._known[raw] = _sha256(_Reader(calls).value(part)).hex()
            return self._known[raw]
        except RecursionError:
            return _sha256(repr(part)).hex()


def normalise(method: str, path: str, body: bytes) -> Normal:
    """What stays the same of a request, to be shown. Raises RecursionError for one that is nested too deeply."""
    head, entries = _parts(method, path, body)
    return Normal(_Reader().value(head), tuple(_Reader(calls).value(part) for calls, part in entries))


def spoken(method: str, path: str, body: bytes, wanted: Sequence[int]) -> list[list[str]]:
    """What a model may take up of what was replaced in a request, in order, for each of the entries wanted."""
    _, entries = _parts(method, path, body)
    found = []
    for index in wanted:
        calls, part = entries[index]
        reader = _Reader(calls)
        reader.value(part)
        found.append(reader.spoken)
    return found


def _parts(method: str, path: str, body: bytes) -> tuple[Any, list[tuple[dict[str, int], Any]]]:
    """The head of a request, and each entry of its conversation with the numbers of its tool calls. A request that is
    no JSON object, or not of its protocol's shape, is all head."""
    try:
        parsed = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        return body.decode(errors="replace"), []
    dialect = route(method, path).dialect
    try:
        conversation = () if dialect is None else dialect.conversation(parsed).entries
    except Unreadable:
        conversation = ()
    if not conversation:
        return parsed, []
    numbers: dict[str, int] = {}
    entries: list[tuple[dict[str, int], Any]] = []
    for entry in conversation:
        own = [use.id for use in entry.uses]
        for call in own:
            numbers.setdefault(call, len(numbers) + 1)
        calls = {call: numbers[call] for call in (*own, *(r.id for r in entry.results)) if call in numbers}
        raw = entry.raw
        if isinstance(raw, dict) and isinstance(raw.get("id"), str) and raw["id"] not in calls:
            raw = raw | {"id": "‹id›"}
        entries.append((calls, raw))
    return _head(parsed), entries


def _head(body: Mapping[str, Any]) -> dict[str, Any]:
    inner = {name: _head(body[name]) for name in _NESTED if isinstance(body.get(name), dict)}
    return {name: value for name, value in body.items() if name not in _SAID} | inner


def _sha256(value: Any) -> bytes:
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).digest()
