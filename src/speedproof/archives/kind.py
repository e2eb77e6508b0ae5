"""What a file of an archive is, told from its content; from its name only when it is empty or broken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speedproof.agents.reading import mapping, sequence
from speedproof.archives.configuration import is_json_config, is_yaml_config
from speedproof.archives.content import PIECE_BYTES, Unreadable, parse, pieces, read_whole

_LOG_MARKS = (b"Execution Summary", b"OpenAI Codex v", b"Task Details", b"Trajectory saved to", b"Traceback (most")
_LOG_NAMES = ("stdout", "stderr", ".log", "console", "output")
_LONGEST_LINES = 200_000
"""Lines of one JSON-lines file that are parsed."""


@dataclass
class Content:
    """One file as read."""

    name: str
    """Path relative to the attempt's folder."""
    path: str
    """Where it is."""
    size: int
    """Bytes."""
    kind: str = "other"
    """What it is (ForeignFile.kind)."""
    data: bytes | None = None
    """Its bytes; null when it is too large to hold, or could not be read."""
    value: Any = None
    """Its JSON value."""
    lines: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Of JSON lines: number and object."""
    problem: str | None = None
    """What is wrong with it."""

    @property
    def mapping(self) -> dict[str, Any]:
        """Its JSON object; empty when it is none."""
        return mapping(self.value)


def read(name: str, path: str, size: int) -> Content:
    """Read a file and tell what it is. Never raises: what is wrong stands in `problem`."""
    content = Content(name, path, size)
    try:
        content.data = read_whole(path)
        head = content.data[:4096] if content.data is not None else next(pieces(path))[:4096]
    except (Unreadable, StopIteration) as error:
        content.kind, content.problem = "unreadable", str(error) or "it is empty"
        return content
    if content.data is not None:
        content.size = len(content.data)
    if not content.size:
        content.kind = _kind_by_name(name, "empty")
        if name.endswith((".json", ".jsonl")):
            content.problem = "empty: zero bytes where JSON should stand"
        return content
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start in (b"{", b"["):
        _read_json(content)
    elif head.startswith((b"diff --git ", b"--- a/")) or name.endswith((".diff", ".patch")):
        content.kind = "patch"
    elif is_yaml_config(name, head if content.data is None else content.data):
        content.kind = "config"
    elif any(mark in head for mark in _LOG_MARKS) or any(part in name.rpartition("/")[2] for part in _LOG_NAMES):
        content.kind = "log"
    elif b"\0" in head:
        content.kind = "other"
    else:
        content.kind = "text"
    if name.endswith("journal.json") and content.kind not in {"journal", "empty", "unreadable"}:
        content.problem = content.problem or "named like a journal, and is none"
    return content


def _kind_by_name(name: str, otherwise: str) -> str:
    """The kind of an empty file: only its name tells what it would have held."""
    if name.endswith((".diff", ".patch")):
        return "patch"
    return "log" if any(part in name.rpartition("/")[2] for part in _LOG_NAMES) else otherwise


def _read_json(content: Content) -> None:
    if content.data is not None:
        value, problem = parse(content.data)
        if value is not None:
            content.value, content.problem = value, problem
            content.kind = kind_of(value)
            if content.kind in {"events", "result", "rollout"}:
                content.lines = [(1, mapping(value))]
            return
    else:
        problem = "too large to be parsed as one JSON value"
    _read_lines(content)
    if content.lines:
        content.kind = _kind_of_lines([line for _, line in content.lines])
        return
    content.kind = "log" if any(part in content.name for part in _LOG_NAMES) else "broken"
    if content.kind == "broken":
        content.problem = problem


def _read_lines(content: Content) -> None:
    """Parse each line that is an object; what is not is counted in `problem`."""
    number = bad = beyond = 0
    parts = iter([content.data]) if content.data is not None else pieces(content.path)
    try:
        for part in parts:
            if content.data is not None and b"\n" not in part.rstrip():
                return  # one broken value, no lines
            for line in part.split(b"\n"):
                number += 1
                stripped = line.strip()
                if not stripped:
                    continue
                value = parse(stripped)[0] if stripped.startswith(b"{") and len(stripped) < PIECE_BYTES else None
                if not isinstance(value, dict):
                    bad += 1
                elif len(content.lines) < _LONGEST_LINES:
                    content.lines.append((number, value))
                else:
                    beyond += 1
            number -= part.endswith(b"\n")
    except Unreadable as error:
        content.problem = str(error)
    if bad > len(content.lines):
        content.lines = []  # a log with a few JSON lines in it, or pretty-printed JSON that is broken
    elif bad:
        content.problem = f"{bad} lines are no JSON objects"
    elif beyond:
        content.problem = f"{beyond} lines beyond the first {_LONGEST_LINES:,} are not read"


def _kind_of_lines(lines: list[dict[str, Any]]) -> str:
    kinds = [kind_of(line) for line in lines[:50]]
    return next((k for k in ("prediction", "rollout", "events", "result") if k in kinds), "json")


def kind_of(value: Any) -> str:
    """What a JSON value is, by its keys."""
    if isinstance(value, list):
        return "prediction" if value and _is_prediction(value[0]) else "json"
    if not isinstance(value, dict):
        return "json"
    if _is_prediction(value) or (value and all(_is_prediction(each) for each in list(value.values())[:3])):
        return "prediction"
    if "agent_steps" in value or "llm_interactions" in value:
        return "trajectory"
    if isinstance(value.get("messages"), list) and ("info" in value or "trajectory_format" in value):
        return "mini"
    if str(value.get("format", "")).startswith("speedproof/"):
        return "own" if str(value["format"]).startswith("speedproof/attempt/") else "json"
    if "task_id" in value and ("status" in value or "timestamps" in value):
        return "journal"
    if "meta" in value and "agent" in value and "schema_version" in value:
        return "summary"
    if "changed" in value and "allowed" in value:
        return "targets"
    if isinstance(value.get("task"), str) and ("constraints" in value or "target_files" in value):
        return "prompt"
    return _kind_of_event(value) or ("config" if is_json_config(value) else "json")


def _kind_of_event(value: Mapping[str, Any]) -> str | None:
    event = value.get("type") if isinstance(value.get("type"), str) else None
    if event == "result" and ("session_id" in value or "duration_ms" in value):
        return "result"
    if event in {"session_meta", "response_item", "event_msg", "turn_context"} and "payload" in value:
        return "rollout"
    if event in {"thread.started", "turn.started", "turn.completed", "item.completed", "turn.failed"}:
        return "events"
    if event in {"system", "assistant"} and ("session_id" in value or "message" in value):
        return "result"
    return None


def _is_prediction(value: Any) -> bool:
    return isinstance(value, dict) and "instance_id" in value and "model_patch" in value


def predictions(content: Content) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a prediction file, each with its place in it."""
    if content.lines:
        return [(f"[{n - 1}]", line) for n, line in content.lines if _is_prediction(line)]
    if _is_prediction(content.value):
        return [("[0]", content.mapping)]
    if isinstance(content.value, list):
        return [(f"[{n}]", each) for n, each in enumerate(sequence(content.value)) if _is_prediction(each)]
    return [(f"[{name}]", each) for name, each in content.mapping.items() if _is_prediction(each)]
