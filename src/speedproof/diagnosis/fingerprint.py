"""One name for the same failure met many times: its class and its message without particulars.

Numbers and ids both become `#`, because an id may consist of digits alone. Of the file in a traceback's frame only the
folder goes: `__init__` of one module is not that of another.
"""

import re
from functools import lru_cache

from speedproof.journal.failure import Diagnosis

_LONGEST = 2_000
"""Characters of a message that are looked at."""
_KEPT = 160
"""Characters of a name: what fills them must stand in the first 400 of a message, particulars included."""
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_UNIT = r"(?:days?|hours?|hrs?|minutes?|mins?|seconds?|secs?|ms|[dhms])"
_WRAPPED = re.compile(
    r"^(?:the usage limit resets at .{1,60}?; "
    r"|the agent reports: "
    r"|the agent was still repeating this call when signal \S+ ended it: "
    r"|(?:unexpected )?error: "
    r"|\w*error: (?=\[errno ))+"
)
"""Words in front of the error, by which the same one was passed on."""
_INNER = re.compile(r"""["']message["'] *: *(?:"((?:[^"\\]|\\.)+)|'((?:[^'\\]|\\.)+))""")
"""The provider's own sentence in its answer, however the rest of that is spelled or cut."""

_PARTICULARS = (
    (re.compile(r"""["']?\[redacted\]["']?\.?|(?<![^\s"'])[^\s"']*\*{3,}[^\s"']*"""), "<key>"),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>(){}\[\]]*[^\s'\"<>(){}\[\].,:;!?]"), "<address>"),
    (re.compile(r"\b[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,}\b"), "<address>"),
    (re.compile(r"\b(?:\d{1,3}(?:\.\d{1,3}){3}|localhost)(?::\d+)?\b|\[[0-9a-f:]{2,45}\]:\d+"), "<address>"),
    (re.compile(r'\bfile "[^"]*[/\\](?=[^"/\\]+")'), 'file "'),
    (re.compile(r"(?<![\w/>])(?:~|\.{1,2})?/[^\s'\",:;()\[\]<>]+|\b[a-z]:\\[^\s'\",:;()\[\]<>]+"), "<path>"),
    (re.compile(r"(?<![\w/>.@+-])[\w.@+-]+(?:(?:/[\w.@+-]+){2,}|/[\w.@+-]*\.[a-z]{1,4}\b)"), "<path>"),
    (re.compile(r"\b(?:call|toolu|msg|resp|req|chatcmpl|fc|rs)[_-](?:(?=\w*\d)\w+|[a-z]{16,}\b)"), "#"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "#"),
    (re.compile(r"(?<!\d[.,])\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,})\b(?:-[a-z]{3}\b)?"), "#"),
    (
        re.compile(r"\b\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?: ?(?:utc|z|[+-]\d\d:?\d\d)\b)?"),
        "<time>",
    ),
    (re.compile(rf"\b{_MONTH}\.? \d{{1,2}}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b(?: ?[ap]m\b)?(?: utc\b)?"), "<time>"),
    (re.compile(rf"\b\d+(?:\.\d+)? ?{_UNIT}\b(?:,? (?:and )?\d+(?:\.\d+)? ?{_UNIT}\b)*"), "<time>"),
    (re.compile(r"<time>(?:,? (?:at )?<time>)+"), "<time>"),
    (re.compile(r"(?:(?<![\w#>)\]])-)?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?"), "#"),
)


def fingerprint(diagnosis: Diagnosis) -> str:
    """The class and the message with numbers, ids, paths, addresses and times removed: equal for equal failures."""
    return f"{diagnosis.failure.value}: {plain(diagnosis.message)}"


@lru_cache(maxsize=1024)
def plain(message: str) -> str:
    """A message without particulars; of such a text, the text itself."""
    text, before = message[:_LONGEST], None
    while text != before:
        text, before = _plainer(text), text
    return text


def _plainer(text: str) -> str:
    text = " ".join(text.lower().split())
    if inner := _INNER.search(text):
        text = inner[1] or inner[2]
    text = _WRAPPED.sub("", text)
    for pattern, name in _PARTICULARS:
        text = pattern.sub(name, text)
    return text[:_KEPT].strip()
