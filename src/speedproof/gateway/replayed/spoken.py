"""What a recorded answer names of the attempt it was made in, put in the words of the replay.

A model takes up what it was shown: the commit just made, the number of a process that still runs, a temporary file.
In the replay these have other names. Where a request equals the recorded one but for such names, it tells which is
which, and every answer from then on is given with the replay's own.
"""

import hashlib
import re
from collections.abc import Sequence

from speedproof.gateway.replayed.normalise import spoken

_SHORTEST = 4
"""Characters of a name: what is shorter may well mean something else elsewhere."""


class Names:
    """Names of the record and what they are called in the replay."""

    def __init__(self) -> None:
        self._now: dict[str, str] = {}
        self._read: set[bytes] = set()

    def learn(self, method: str, path: str, recorded: bytes, sent: bytes, digests: Sequence[str]) -> None:
        """Take the names from a request and the recorded one that it equals; `digests`: of their entries. What stands
        at the beginning of a conversation is read once."""
        if recorded == sent:
            return
        beginning, new = hashlib.sha256(), []
        for index, digest in enumerate(digests):
            beginning.update(digest.encode())
            if beginning.digest() not in self._read:
                self._read.add(beginning.digest())
                new.append(index)
        if not new:
            return
        pairs = zip(spoken(method, path, recorded, new), spoken(method, path, sent, new), strict=True)
        for before, after in pairs:
            if len(before) == len(after):
                names = zip(before, after, strict=True)
                self._now |= {old: now for old, now in names if old != now and len(old) >= _SHORTEST}

    def translate(self, answer: bytes) -> bytes:
        """An answer with the replay's names. One that a stream carries in pieces stays as it was."""
        if not self._now or not answer:
            return answer
        names = {old.encode(): now.encode() for old, now in self._now.items()}
        either = b"|".join(re.escape(old) for old in sorted(names, key=len, reverse=True))
        return re.sub(rb"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])" % either, lambda found: names[found[0]], answer)
