"""What an examination finds: one thing that was looked at, and whether it works."""

from speedproof.journal import Record


class Finding(Record):
    """One thing that was looked at."""

    what: str
    """What was examined."""
    ok: bool
    """Whether it works."""
    said: str
    """What was found, in one line or a few."""
    hint: str = ""
    """What to do next; empty when it works."""
