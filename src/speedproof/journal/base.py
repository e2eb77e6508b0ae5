"""What every record shares: strictness, field docstrings, and digests of content."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A record is immutable, refuses fields it does not know, and documents each of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, ser_json_inf_nan="null")


class Evidence(Record):
    """A place in the attempt's folder, or in a foreign file, that shows a fact."""

    file: str
    """Path relative to the attempt's folder (or the archive's root)."""
    line: int | None = None
    """Line number, counted from 1; null when the file is not line-based."""
    excerpt: str = ""
    """The text found there, verbatim but cut to 400 characters."""


def now() -> datetime:
    """The current time, UTC, aware."""
    return datetime.now(UTC)


def canonical_json(value: Any) -> str:
    """One spelling for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any, length: int = 64) -> str:
    """SHA-256 of the canonical JSON of `value`, as `length` hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
