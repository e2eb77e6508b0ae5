"""Settings as files show them: each with its value and place. What is secret is taken out before it is kept."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from speedproof.archives.gathered import How, Seen, find_key
from speedproof.diagnosis.facts import excerpt, sentence
from speedproof.journal.base import Evidence, digest_of
from speedproof.journal.foreign_parts import SettingSeen
from speedproof.journal.redaction import REDACTED

KNOWN = frozenset(
    {
        "approval_policy", "cost_limit", "enable_lakeview", "hints_enabled", "max_budget_per_task",
        "max_completion_tokens", "max_iterations", "max_output_tokens", "max_retries", "max_steps", "max_tokens",
        "max_turns", "model", "model_provider", "model_reasoning_effort", "parallel_tool_calls", "permission_mode",
        "preflight_enabled", "reasoning_effort", "sandbox_mode", "step_limit", "temperature", "time_budget_minutes",
        "top_k", "top_p",
    }
)  # fmt: skip
"""Names of settings that count wherever they stand; others count where a configuration or a record has them too."""
_SECRET = re.compile(
    r"(?:api|access|private|auth|secret|license)[_-]?key|secret|passw|credential|authorization|bearer"
    r"|(?:^|[_-])(?:token|auth|key|cookie)$",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\{?\w{1,100}\}?|")
"""A variable's name in place of a value, or nothing."""
_LONGEST = 200
_DEEPEST = 12
MOST = 2_000
"""Settings of one file that are kept."""
_NAMED_APART = {"model", "model_name", "provider", "model_provider", "llm_provider"}
"""Settings that a comparison of models varies on purpose."""


@lru_cache(maxsize=4096)
def is_secret(path: str) -> bool:
    """Whether any name on the way to a value says that the value is a secret."""
    return any(_SECRET.search(name) for name in re.split(r"[.\[\]]+", path))


def configured(path: str, key: str, value: str | None, file: str, line: int | None, *, secret: bool = False) -> Seen:
    """A value of a configuration. Its excerpt is made from key and value: a line may hold a secret beside them."""
    if value is not None and len(value) > _LONGEST:
        value = excerpt(value, _LONGEST)
    name, kept, text = _without_secrets(key[:_LONGEST], value, secret or is_secret(path))
    return Seen(name, kept, "configured", Evidence(file=file, line=line, excerpt=text), path[:400])


@lru_cache(maxsize=4096)
def _without_secrets(key: str, value: str | None, secret: bool) -> tuple[str, str | None, str]:
    """Key, value and both together, as they may be kept. Records repeat the same ones thousands of times."""
    if value is not None and secret and not _VARIABLE.fullmatch(value):
        value = REDACTED
    # together: a shape may be known by the word before it only
    text = sentence(f"{key}: {'null' if value is None else value}")
    return excerpt(key), None if value is None or REDACTED in text else excerpt(value), text


def recorded(found: list[Seen], path: str, value: Any, file: str, line: int | None, how: How = "sent") -> None:
    """Add what the record of a run says of one setting; nothing when it says nothing."""
    if isinstance(value, str | int | float):
        one = configured(path, path.rpartition(".")[2], as_text(value), file, line)
        one.how = how
        found.append(one)


def line_of(data: bytes | None, key: str) -> int | None:
    """The line of a JSON file on which a key stands; null when it is not found."""
    begin = -1 if data is None else find_key(data, key)
    return None if data is None or begin < 0 else data.count(b"\n", 0, begin) + 1


def as_text(value: Any) -> str | None:
    """A JSON value as text: truth as true and false."""
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    return str(value)


def _leaves(value: Any, path: str, key: str, depth: int = 0) -> Iterator[tuple[str, str, Any]]:
    """Every plain value of a JSON value with its path and the last name in it, in the order in which it stands."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}" if path else name, name, depth + 1)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, f"{path}[{index}]", key, depth + 1)
    else:
        yield path, key, value


def read_block(found: list[Seen], file: str, data: bytes | None, block: Any, prefix: str, how: How) -> None:
    """Add the values of a block of settings within a JSON file; long texts, which are prompts, left out."""
    begin = 0
    for path, key, value in _leaves(block, prefix, prefix):
        if len(found) >= MOST:
            return
        if isinstance(value, str) and (len(value) > _LONGEST or "\n" in value):
            continue
        at = -1 if data is None else find_key(data, key, start=begin)
        line = None if data is None or at < 0 else data.count(b"\n", 0, at) + 1
        begin = max(at, begin)
        one = configured(path, key, as_text(value), file, line)
        one.how = how
        found.append(one)


def config_digest(found: Iterable[Seen]) -> str | None:
    """Digest of an attempt's settings by name and value; null without any. The model is left out, and so are values
    with a slash: paths, images and addresses say where it ran."""
    pairs = frozenset(
        (each.path or each.key, each.value)
        for each in found
        if each.how != "claimed" and each.key not in _NAMED_APART and "/" not in (each.value or "")
    )
    return _digest(pairs) if pairs else None


@lru_cache(maxsize=512)
def _digest(pairs: frozenset[tuple[str, str | None]]) -> str:
    return digest_of(sorted(pairs, key=str))


def as_records(found: Iterable[Seen], folder: str, attempt: str | None) -> Iterator[SettingSeen]:
    """The records of what was found in a folder."""
    for each in found:
        where = each.where
        yield SettingSeen(
            key=each.key,
            value=each.value,
            path=each.path if each.path is None else excerpt(each.path),
            how=each.how,
            denied=each.denied,
            file=f"{folder}/{where.file}" if folder else where.file,
            line=where.line,
            excerpt=where.excerpt,
            attempt=attempt,
        )
