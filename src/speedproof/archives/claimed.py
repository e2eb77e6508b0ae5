"""What the reports in an archive say of settings: sentences with a setting's name and a value, or a denial, near it.

The rule is simple and bounded: it finds "disabled X", "X was enabled", "X: true", "X = 5", "X set to 100", "X from 1 to
2", and the row "| X | disabled |" of a table. A sentence that denies, or that names both truths, has no clear value; a
wish ("disable X") is no statement.
"""

import re
from itertools import islice

from speedproof.archives.gathered import Seen
from speedproof.archives.settings import KNOWN, is_secret
from speedproof.diagnosis.facts import sentence
from speedproof.journal.base import Evidence
from speedproof.journal.redaction import redact

_WRITTEN = {"md", "markdown", "rst", "adoc"}
_SUFFIXES = {*_WRITTEN, "", "txt", "html", "htm"}
_LARGEST = 1 << 20
"""Bytes of a text that are looked through: reports are smaller."""
_MOST = 1_000
"""Statements of one text that are kept."""
_MOST_NAMES = 20_000
"""Names in one text that are looked at."""
_NEAR = 200
"""Characters of a sentence that are looked at, before and after the name."""
_PLAIN_WORDS = {"model", "temperature"}
"""Names that are words of every text as well: they count with a colon or an equals sign only."""


def _spelled(name: str) -> str:
    return name.replace("_", "[_ -]")


_NAME = re.compile(
    rf"(?<![\w./-])(?:(?P<known>{'|'.join(_spelled(n) for n in sorted(KNOWN, key=len, reverse=True))})"
    r"|(?P<budget>time[ _-]budget(?![ _-]minutes))"
    r"|(?P<other>[a-z][a-z0-9]{0,30}(?:_[a-z0-9]{1,30}){1,6}))(?!\w|\.\w)",
    re.IGNORECASE,
)
_DECOR = r"[\s`*\"'“”(]{0,4}"
_TRUTH = r"true|false|enabled|disabled|on|off"
_NUMBER = r"-?\d[\d,]*(?:\.\d+)?"
_STRICT = re.compile(
    rf"{_DECOR}[:=]{_DECOR}(?P<value>{_NUMBER}(?![\w.:/-])|[A-Za-z0-9$][\w./:@+-]{{0,80}}(?<![.:]))", re.IGNORECASE
)
_TOLD = re.compile(
    rf"{_DECOR}(?:(?:was|is|were|are|be|been|has|had|still|now|already|then)\s+){{0,4}}"
    rf"(?:(?P<set>set|changed|increased|reduced|raised|lowered|limited|configured|fixed|switched|turned)\s+)?"
    rf"(?:(?P<to>to|at|as|of|→|->|=>)\s+)?{_DECOR}"
    rf"(?P<value>{_TRUTH}|low|medium|high|minimal|none|{_NUMBER})(?!\w|[.-]\w)",
    re.IGNORECASE,
)
_CELL = re.compile(rf"{_DECOR}\|{_DECOR}(?P<value>{_TRUTH}){_DECOR}(?:\||$)", re.IGNORECASE)
"""The next cell of a table's row, where it holds a truth: a number beside a name may be what was reached."""
_BEFORE = re.compile(
    rf"\b(?:(?P<off>disabled|disabling|turned off|switched off)|(?P<on>enabled|enabling|turned on|switched on))"
    rf"\b(?:\s+the)?{_DECOR}$",
    re.IGNORECASE,
)
_FROM_TO = re.compile(rf"\bfrom{_DECOR}[\w.]{{1,40}}{_DECOR}\bto{_DECOR}(?P<value>{_TRUTH}|{_NUMBER})\b", re.IGNORECASE)
_MINUTES = re.compile(r"[^.\n]{0,40}?(?<![\w.])(?P<value>\d{1,5})\s*-?min(?:utes?)?\b", re.IGNORECASE)
_DENIES = re.compile(r"\b(?:never|not|no longer|cannot|neither|nor|without|failed to)\b|n['’]t\b", re.IGNORECASE)
_OF_SETTING = re.compile(
    r"\b(?:disabl|enabl|appli|apply|set\b|chang|true\b|false\b|turn|switch|configur)", re.IGNORECASE
)
_TRUE, _FALSE = re.compile(r"\b(?:true|enabled)\b", re.IGNORECASE), re.compile(r"\b(?:false|disabled)\b", re.IGNORECASE)
_END = re.compile(r"[.;!?](?=\s|$)")
_WORDS = {"enabled": "true", "on": "true", "disabled": "false", "off": "false", "true": "true", "false": "false"}


def is_report(name: str, kind: str) -> bool:
    """Whether a file of this kind may be a report, by its name: no program, no log, and not what an agent was told."""
    if kind not in ("text", "log"):
        return False
    base = name.rpartition("/")[2].lower()
    suffix = base.rpartition(".")[2] if "." in base else ""
    return suffix in (_SUFFIXES if kind == "text" else _WRITTEN) and not base.startswith(("task", "prompt"))


def claims(name: str, data: bytes) -> list[Seen]:
    """What a text says of settings; of names that only look like a setting's, too: the import keeps those it knows."""
    found: dict[tuple[int, str, str | None, bool], Seen] = {}
    text = data[:_LARGEST].decode(errors="replace")
    line, counted = 1, 0
    for match in islice(_NAME.finditer(text), _MOST_NAMES):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        before, after, whole = _sentence(text, match.start(), match.end())
        told = _reading(match, before, after, whole)
        key = _key(match)
        if told is None or is_secret(key):
            continue
        value, denied = told
        if value is not None and redact(value) != value:
            value = None
        where = Evidence(file=name, line=line, excerpt=sentence(whole))
        found.setdefault((line, key, value, denied), Seen(key, value, "claimed", where, denied=denied))
        if len(found) >= _MOST:
            break
    return list(found.values())


def _key(match: re.Match[str]) -> str:
    if match["budget"]:
        return "time_budget_minutes"
    return (match["other"] or re.sub(r"[ -]", "_", match["known"])).lower()


def _sentence(text: str, begin: int, end: int) -> tuple[str, str, str]:
    """What stands before and after a name in its sentence, and all of it; a sentence ends with its line."""
    start = max(text.rfind("\n", max(0, begin - _NEAR), begin) + 1, begin - _NEAR, 0)
    stop = text.find("\n", end, end + _NEAR)
    stop = min(end + _NEAR, len(text)) if stop < 0 else stop
    for each in _END.finditer(text, start, begin):
        start = each.end()
    closing = _END.search(text, end, stop)
    stop = closing.end() if closing else stop
    return text[start:begin], text[end:stop], text[start:stop]


def _reading(match: re.Match[str], before: str, after: str, whole: str) -> tuple[str | None, bool] | None:
    """Value and denial; null when the sentence is no statement of the setting."""
    value = _value(match, before, after)
    if _DENIES.search(whole):
        of_setting = value is not None or (match["other"] is None and _OF_SETTING.search(whole) is not None)
        return (None, True) if of_setting and _key(match) not in _PLAIN_WORDS else None
    if value is None:
        return None
    both = value in ("true", "false") and _TRUE.search(whole) and _FALSE.search(whole)
    return (None if both and not _FROM_TO.match(after.lstrip("`*\"' ")) else value), False


def _value(match: re.Match[str], before: str, after: str) -> str | None:
    name = match[0]
    if match["budget"]:
        minutes = _MINUTES.match(after)
        return minutes["value"] if minutes else None
    exact = "_" in name or "-" in name or name.lower() in _PLAIN_WORDS
    if exact and (strict := _STRICT.match(after)):
        value = strict["value"]
        if name.lower() == "model" and not re.search(r"\d", value):
            return None
        if name.lower() == "temperature" and not re.fullmatch(_NUMBER, value):
            return None
        return _plain(value)
    if name.lower() in _PLAIN_WORDS:
        return None
    if exact and (cell := _CELL.match(after)):
        return _plain(cell["value"])
    if changed := _FROM_TO.match(after.lstrip("`*\"' ")):
        return _plain(changed["value"])
    if placed := _BEFORE.search(before):
        return "false" if placed["off"] else "true"
    told = _TOLD.match(after)
    if told is None:
        return None
    value = told["value"].lower()
    clear = told["to"] or value in ("true", "false", "enabled", "disabled") or (told["set"] and value in ("on", "off"))
    return _plain(value) if clear else None


def _plain(value: str) -> str:
    lowered = value.lower()
    return _WORDS.get(lowered, value.replace(",", "") if re.fullmatch(_NUMBER, value) else value)
