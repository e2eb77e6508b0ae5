"""A log, read once in pieces: running totals, steps, boxes, failed calls, errors and last lines, each with its line.

Everything is found by searching for plain bytes, at the speed of memory; expressions look at the hits only.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from speedproof.archives.search import LINES, AnyOf
from speedproof.diagnosis.logs import WINDOW

_TOTAL = re.compile(rb"Input: (\d{1,15}) Output: (\d{1,15})")
_STEP = re.compile(rb"Step (\d{1,9})\b")
_CALL_ID = re.compile(rb"No tool output found for function call (call_\w{1,100}|\w{1,100})")
_NO_OUTPUT = b"No tool output found"
_BOX = re.compile(
    rb"[\xe2\x94\x82\xe2\x94\x83|]\s*(?P<name>[A-Z][A-Za-z ]{2,20}?)\s*\xe2\x94\x82\s*(?P<value>[^\xe2\n]*)"
)
_SUCCESS = re.compile(rb"Success\s*\xe2\x94\x82\s*(?P<mark>\xe2\x9c\x85|\xe2\x9d\x8c)")
_BOX_BYTES = 4_000
_SLEEP = b"Will sleep for "
_AGAIN = b"Reconnecting... "
_SUMMARY = b"Execution Summary"
_CONSOLE = AnyOf(rf"Input: \d|Step \d|{_SUMMARY.decode()}")
"""Marks of TRAE's console."""
_RARE_ERRORS = (b"ERROR:", b"interrupted by user")
_RARE = AnyOf("|".join(re.escape(mark.decode()) for mark in (_NO_OUTPUT, _SLEEP, _AGAIN, *_RARE_ERRORS)))
"""Marks that most logs do not hold."""
_TRAE = (b"Initialising MCP tools", b"trae_agent", b"trae-agent/")
_OPENING = 64 << 10
"""Bytes at the beginning of a piece in which a program names itself."""
_LINE_ERROR = re.compile(rb"(?:Unexpected error:|Error:|error:|ERROR:|Task execution interrupted by user)")
_BANNER = re.compile(rb"OpenAI Codex v(\S{1,40})")
_BANNER_ROW = re.compile(
    rb"^(?:(?P<rule>-{4,})|(?P<name>[a-z][a-z ]{1,30}): (?P<value>[^\n]{1,200}))\r?$", re.MULTILINE
)
_TOKENS_USED = re.compile(rb"^tokens used:?\s*\n?\s*([\d,]{1,20})", re.MULTILINE)
_TAIL_BYTES = 64 << 10
_LONGEST_LINE = 8_000
"""Bytes of a line that are kept."""


@dataclass
class Hit:
    """Something found in a log."""

    line: int
    """Its line, from 1."""
    text: str
    """The line, cut to 8,000 bytes."""


@dataclass
class Missed:
    """A tool call without its output, as often as a log says so."""

    hit: Hit
    """Where it says so first."""
    mentions: int = 0
    """How often."""


@dataclass
class Log:
    """What a log holds."""

    file: str
    """Its name."""
    first_total: tuple[int, int, int] | None = None
    """First running total: line, input and output tokens."""
    last_total: tuple[int, int, int] | None = None
    """The last one."""
    steps: set[int] = field(default_factory=set)
    """Step numbers."""
    box: dict[str, str] = field(default_factory=dict)
    """The last summary box, by its rows."""
    box_line: int | None = None
    """Its line."""
    success: bool | None = None
    """What it says of success."""
    missed: dict[str, Missed] = field(default_factory=dict)
    """Tool calls without output, by id."""
    matches: int = 0
    """Text matches of the same."""
    sleeps: int = 0
    """Lines that announce a pause before another try."""
    retries: int = 0
    """Lines that announce another try."""
    error: Hit | None = None
    """The last line by which the program itself names an error."""
    trae: Hit | None = None
    """The first mark of TRAE's console."""
    codex: Hit | None = None
    """The first mark of Codex."""
    codex_version: str | None = None
    """The version it names."""
    codex_model: Hit | None = None
    """The model it names, as the line that does."""
    codex_settings: list[tuple[str, str, int]] = field(default_factory=list)
    """Settings in its banner: name, value and line."""
    tokens_used: tuple[int, int] | None = None
    """The one number at its end: line and tokens."""
    tail: list[tuple[int, str]] = field(default_factory=list)
    """Its last lines that are not blank, the last one first."""
    lines: int = 0
    """How many lines there are."""
    size: int = 0
    """Bytes."""

    @property
    def greatest_step(self) -> int | None:
        """The largest step number."""
        return max(self.steps, default=None)

    @property
    def step_as_text(self) -> int | None:
        """The largest step number, compared as text."""
        return int(max(map(str, self.steps))) if self.steps else None


def read_log(file: str, parts: Iterable[bytes]) -> Log:
    """Read a log. Raises Unreadable when its file breaks off."""
    log = Log(file)
    last = b""
    before = 0
    for part in parts:
        lines = part.count(b"\n")
        _scan(log, part, before, lines)
        before += lines
        log.size += len(part)
        last = part if len(part) >= _TAIL_BYTES else (last + part)[-_TAIL_BYTES:]
    log.lines = before + (not last.endswith(b"\n") and bool(last))
    log.tail = _tail(last, log.lines)
    if len(log.missed) == 1:
        next(iter(log.missed.values())).mentions = log.matches  # boxes break lines, and ids off them
    return log


def _tail(data: bytes, lines: int) -> list[tuple[int, str]]:
    """The last lines that are not blank, the last one first, numbered."""
    found: list[tuple[int, str]] = []
    first = max(0, len(data) - _TAIL_BYTES)
    end, number = len(data) - data.endswith(b"\n"), lines
    while len(found) < WINDOW and end >= first:
        begin = data.rfind(b"\n", first, end) + 1
        if begin == 0 and first > 0 and found:
            break  # a line of which only the end is here
        text = data[max(begin, first, end - _LONGEST_LINE) : end].decode(errors="replace").replace("\r", "")
        if text.strip():
            found.append((number, text))
        end, number = begin - 1, number - 1
    return found


def _scan(log: Log, data: bytes, before: int, lines: int) -> None:
    def at(begin: int) -> Hit:
        return hit(data, begin, before, lines)

    begin = -1
    if _CONSOLE.may_stand_in(data):
        _totals(log, data, at)
        _each(data, b"Step ", lambda begin: _step(log, data, begin))
        begin = data.rfind(_SUMMARY)
        if begin >= 0:
            _box(log, data[begin : begin + _BOX_BYTES], at(begin).line)
    _last_error(log, data, b"rror: ", at)
    if _RARE.may_stand_in(data):
        _each(data, _NO_OUTPUT, lambda begin: _missed(log, data, begin, at))
        sleeps = data.count(_SLEEP)
        log.sleeps += sleeps
        log.retries += sleeps + data.count(_AGAIN)
        for mark in _RARE_ERRORS:
            _last_error(log, data, mark, at)
    if log.trae is None:
        begins = [data.find(mark, 0, _OPENING) for mark in _TRAE] + [begin]
        first = min((each for each in begins if each >= 0), default=-1)
        if first >= 0:
            log.trae = at(first)
    _codex(log, data, at)


def _totals(log: Log, data: bytes, at: Callable[[int], Hit]) -> None:
    begin = data.find(b"Input: ")
    if begin < 0:
        return
    if log.first_total is None:
        found = _TOTAL.search(data, begin)
        if found:
            log.first_total = (at(found.start()).line, int(found[1]), int(found[2]))
    begin = data.rfind(b"Input: ")
    while begin >= 0:
        found = _TOTAL.match(data, begin)
        if found:
            log.last_total = (at(begin).line, int(found[1]), int(found[2]))
            return
        begin = data.rfind(b"Input: ", 0, begin)


def _each(data: bytes, mark: bytes, do: Callable[[int], None]) -> None:
    begin = data.find(mark)
    while begin >= 0:
        do(begin)
        begin = data.find(mark, begin + len(mark))


def _step(log: Log, data: bytes, begin: int) -> None:
    found = _STEP.match(data, begin)
    if found and len(log.steps) < 100_000:
        log.steps.add(int(found[1]))


def _missed(log: Log, data: bytes, begin: int, at: Callable[[int], Hit]) -> None:
    log.matches += 1
    found = _CALL_ID.match(data, begin)
    if found is None or len(log.missed) >= 100:
        return
    name = found[1].decode()
    if name not in log.missed:
        log.missed[name] = Missed(at(begin))
    log.missed[name].mentions += 1


def _box(log: Log, text: bytes, line: int) -> None:
    found = _SUCCESS.search(text)
    if found is None:
        return
    log.success, log.box_line = found["mark"] == b"\xe2\x9c\x85", line
    log.box = {
        row["name"].decode().strip(): row["value"].decode(errors="replace").strip() for row in _BOX.finditer(text)
    }


def _last_error(log: Log, data: bytes, mark: bytes, at: Callable[[int], Hit]) -> None:
    """Keep the last line that names an error: that of the last mark which stands where such a line has it."""
    begin = data.rfind(mark)
    for _ in range(200):
        if begin < 0:
            return
        start = data.rfind(b"\n", 0, begin) + 1
        if _LINE_ERROR.match(data, start) is not None:
            found = at(start)
            if log.error is None or found.line > log.error.line:
                log.error = found
            return
        begin = data.rfind(mark, 0, begin)


def _codex(log: Log, data: bytes, at: Callable[[int], Hit]) -> None:
    if log.codex is None:
        banner = _BANNER.search(data, 0, _OPENING)
        if banner:
            log.codex, log.codex_version = at(banner.start()), banner[1].decode(errors="replace")
            begin = data.find(b"\nmodel: ", banner.end(), banner.end() + 2_000)
            if begin >= 0:
                log.codex_model = at(begin + 1)
            _banner(log, data, banner.end(), at)
        elif (begin := data.find(b"codex_core::", 0, _OPENING)) >= 0:
            log.codex = at(begin)
    if log.codex is None:
        return
    begin = data.rfind(b"\ntokens used")
    found = _TOKENS_USED.match(data, begin + 1) if begin >= 0 else None
    if found:
        log.tokens_used = (at(begin + 1).line, int(found[1].replace(b",", b"") or 0))


def _banner(log: Log, data: bytes, begin: int, at: Callable[[int], Hit]) -> None:
    """The settings that stand between the two rules of Codex's banner."""
    rules = 0
    for found in _BANNER_ROW.finditer(data, begin, begin + 2_000):
        rules += found["rule"] is not None
        if rules > 1:
            return
        if found["rule"] or not rules:
            continue
        name = found["name"].decode().replace(" ", "_")
        if name not in ("workdir", "session_id"):
            value = found["value"].decode(errors="replace").strip()
            log.codex_settings.append((name, value, at(found.start()).line))


def hit(data: bytes, begin: int, before: int = 0, lines: int | None = None) -> Hit:
    """The line of `data` in which `begin` stands; `before` lines came before it, and it has `lines` in all."""
    start = data.rfind(b"\n", 0, begin) + 1
    end = data.find(b"\n", begin)
    end = len(data) if end < 0 else end
    shown = max(start, begin - 200) if end - start > _LONGEST_LINE else start
    text = data[shown : min(end, shown + _LONGEST_LINE)].decode(errors="replace")
    return Hit(before + LINES.before(data, begin, lines) + 1, text)
