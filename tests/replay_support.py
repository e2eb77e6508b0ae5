"""What the tests of replay share."""

from pathlib import Path

from speedproof.journal import AttemptStore, CallOutcome
from speedproof.journal.bodies import BodyWriter, read_bodies


def change_answer(attempt: Path, call: int, old: bytes, new: bytes) -> None:
    """Rewrite an attempt's bodies.zst with other words in the answer to a call."""
    outcomes = [line for _, line in AttemptStore(attempt).calls()[0] if isinstance(line, CallOutcome)]
    answer = next(line.response_sha256 for line in outcomes if line.call == call)
    bodies = read_bodies(attempt / "bodies.zst")
    written = BodyWriter(attempt / "changed.zst")
    for name in bodies.names:
        body = bodies.get(name) or b""
        if name == answer:
            assert old in body
            body = body.replace(old, new)
        written.add(name, body)
    written.close()
    (attempt / "changed.zst").rename(attempt / "bodies.zst")
