"""One name for the same failure met many times: its class and its message without particulars."""

import re

from speedproof.journal.failure import Diagnosis

_PARTICULARS = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://\S+", re.IGNORECASE), "<address>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]?(?:\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M\b)?", re.IGNORECASE), "<time>"),
    (re.compile(r"(?<![\w/])(?:~|\.{1,2})?/[^\s'\",:;()\[\]<>]+"), "<path>"),
    (re.compile(r"\b(?:call|toolu|msg|resp|req|chatcmpl|fc|rs)[_-]\w+", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?:0x)?(?=[0-9a-f-]*\d)[0-9a-f]{6,}(?:-[0-9a-f]{4,})*\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "#"),
    (re.compile(r"\s+"), " "),
)


def fingerprint(diagnosis: Diagnosis) -> str:
    """The class and the message with numbers, ids, paths, addresses and times removed: equal for equal failures."""
    message = diagnosis.message[:2000]
    for pattern, name in _PARTICULARS:
        message = pattern.sub(name, message)
    return f"{diagnosis.failure.value}: {message.strip().lower()[:200]}"
