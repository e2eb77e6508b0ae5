"""Configurations: the YAML of TRAE and of the earlier harness, or the same as JSON, each value with its line.

YAML is read as a stream of events: nothing is built from it, an alias is never expanded, and depth costs nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from speedproof.archives.gathered import Seen
from speedproof.archives.settings import KNOWN, MOST, configured, is_secret, read_block
from speedproof.diagnosis.facts import sentence

LARGEST = 256 << 10
"""Bytes of a configuration that are read."""
_MOST_EVENTS = 20_000
_DEEPEST = 40
_MARKS = (b"agents:", b"models:", b"model_providers:")
_TOP = re.compile(rb"^(?:%b)[ \t]*(?:#.*)?\r?$" % b"|".join(_MARKS), re.MULTILINE)
_KEY = re.compile(
    rb"(?:^[ \t-]*|[{,][ \t]*)[\"']?(?:%b)[\"']?[ \t]*:(?:[ \t]|\r?$)" % "|".join(sorted(KNOWN)).encode(), re.MULTILINE
)
_TRUE, _FALSE = {"true", "yes", "on"}, {"false", "no", "off"}
_NULL = {"", "~", "null"}


def is_yaml_config(name: str, data: bytes) -> bool:
    """Whether a text is a YAML mapping of settings, as its lines look."""
    suffix = name.rpartition("/")[2].lower().partition(".")[2]
    if suffix.rpartition(".")[2] in {"md", "markdown", "rst", "txt", "html", "htm", "adoc", "py", "sh", "js", "ts"}:
        return False
    begin = data[:LARGEST]
    if "yaml" in suffix or "yml" in suffix:
        return _TOP.search(begin) is not None or _KEY.search(begin) is not None
    # nearly all texts end here: a mark that is not there needs no expression
    if not any(mark in begin for mark in _MARKS):
        return False
    return _TOP.search(begin) is not None and _KEY.search(begin) is not None


def is_json_config(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object is one of settings, by its keys."""
    if isinstance(value.get("model_providers"), dict):
        return True
    blocks = [value[name] for name in ("agents", "models") if isinstance(value.get(name), dict)]
    if any(isinstance(each, dict) and not KNOWN.isdisjoint(each) for block in blocks for each in block.values()):
        return True
    return len(KNOWN.intersection(value)) >= 2


def read_json(name: str, data: bytes | None, value: Any) -> list[Seen]:
    """The settings of a JSON configuration."""
    found: list[Seen] = []
    read_block(found, name, data, value, "", "configured")
    return found


@dataclass
class _Level:
    """A mapping or a list that is being read."""

    path: str
    name: str
    """The last name in its path."""
    mapping: bool
    key: str | None = None
    """Of a mapping: the key whose value comes next."""
    line: int = 0
    """The line of that key."""
    items: int = 0
    """Of a list: values so far."""

    def next_value(self, line: int) -> tuple[str, str, int]:
        """Path, name and line of the value that comes next, which begins on `line`."""
        if self.mapping:
            key, self.key = self.key or "", None
            return (f"{self.path}.{key}" if self.path else key), key, self.line
        self.items += 1
        return f"{self.path}[{self.items - 1}]", self.name, line


def read_yaml(name: str, data: bytes) -> tuple[list[Seen], str | None]:
    """The settings of a YAML configuration as far as it can be read, and what is wrong with it."""
    text = data[:LARGEST].decode(errors="replace")
    problem = None
    if len(data) > LARGEST:
        text = text[: text.rfind("\n") + 1]
        problem = f"too large for a configuration: only its first {LARGEST >> 10} KiB are read"
    elif "\ufffd" in text and b"\xef\xbf\xbd" not in data:
        problem = "not valid UTF-8: the bytes that are not are replaced"
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # takes a while to load, and most archives hold no YAML
    from ruamel.yaml.reader import ReaderError

    found: list[Seen] = []
    try:
        for one in _values(name, text):
            found.append(one)
            if len(found) >= MOST:
                return found, problem or f"more settings than the {MOST:,} that are kept"
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = "" if mark is None else f", line {mark.line + 1}"
        problem = sentence(f"broken YAML{at}: {error.problem or error.context}")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"broken YAML, line {line}: a character that YAML forbids"
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        # on malformed scalars and tags the parser raises whatever it stumbles over
        problem = sentence(f"broken YAML: {next(iter(str(error).splitlines()), type(error).__name__)}")
    return found, problem


def _values(name: str, text: str) -> Iterator[Seen]:
    """Every plain value of the document. Raises what the parser raises, and ValueError beyond its bounds."""
    from ruamel.yaml import YAML, events

    levels: list[_Level] = []
    anchors: dict[str, tuple[str | None, bool]] = {}
    for number, event in enumerate(YAML(typ="safe", pure=True).parse(text)):
        if number > _MOST_EVENTS:
            raise ValueError(f"more than {_MOST_EVENTS:,} parts")
        if isinstance(event, events.DocumentStartEvent):
            levels = []
        elif isinstance(event, events.CollectionEndEvent):
            levels.pop()
        elif isinstance(event, events.CollectionStartEvent | events.ScalarEvent | events.AliasEvent):
            if len(levels) > _DEEPEST:
                raise ValueError(f"nested deeper than {_DEEPEST}, line {event.start_mark.line + 1}")
            top = levels[-1] if levels else None
            line = event.start_mark.line + 1
            awaits_key = top is not None and top.mapping and top.key is None
            if awaits_key and top is not None:
                top.key, top.line = (event.value[:200], line) if isinstance(event, events.ScalarEvent) else ("?", line)
                if not isinstance(event, events.CollectionStartEvent):
                    continue
                levels.append(_Level("?", "?", isinstance(event, events.MappingStartEvent)))
                continue
            path, key, line = ("", "", line) if top is None else top.next_value(line)
            if isinstance(event, events.CollectionStartEvent):
                levels.append(_Level(path[:1000], key, isinstance(event, events.MappingStartEvent)))
                continue
            value, secret = _scalar(event, anchors, path)
            if path:
                yield configured(path, key, value, name, line, secret=secret)


def _scalar(event: Any, anchors: dict[str, tuple[str | None, bool]], path: str) -> tuple[str | None, bool]:
    """A plain value as text, and whether it is a secret: an alias is what its anchor was, if that was plain."""
    value: str | None = getattr(event, "value", None)
    if value is None:
        return anchors.get(event.anchor, (None, False))
    if event.style is None:
        plain = value.lower()
        value = "true" if plain in _TRUE else "false" if plain in _FALSE else None if plain in _NULL else value
    if event.anchor:
        anchors[event.anchor] = (value, is_secret(path))
    return value, False
