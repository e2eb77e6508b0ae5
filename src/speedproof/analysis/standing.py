"""Where one item of a run stands: done, under way, or why not, and when and how it may go on."""

from datetime import datetime

from speedproof.journal import Record
from speedproof.journal.item_log import ItemState as ItemState


class Standing(Record):
    """Where an item stands, by its attempts and the scheduler's log."""

    state: ItemState
    """In one word."""
    why: str | None = None
    """Why it is not done; null when it is, or is being done."""
    until: datetime | None = None
    """When it may go on by itself, UTC; null: when somebody does something about it."""
    next: str | None = None
    """What to do about it; null when nothing is to be done, or nobody says what."""
