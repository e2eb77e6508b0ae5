"""A person's wish that attempts end: said once, they get their grace; said again, they end now."""

import asyncio


class Stop:
    """Asked for by `ask()`, or by setting the event that it is given."""

    def __init__(self, asked: asyncio.Event | None = None) -> None:
        self.asked = asked or asyncio.Event()
        """Set when attempts are to end by their grace."""
        self.at_once = asyncio.Event()
        """Set when they are to end without it."""

    def ask(self) -> None:
        """Ask for the end; the second time, for an end at once."""
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()
