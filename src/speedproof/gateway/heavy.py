"""Work that a large body makes: in a thread, one piece at a time, so that no other session waits for it."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

LIGHT = 1 << 18
"""Bytes of a body whose work is done at once."""

P = ParamSpec("P")
T = TypeVar("T")


class Heavy:
    """The one thread of a gateway for it. It belongs to one event loop."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def run(self, size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of work on `size` bytes. Whoever is cancelled meanwhile goes on when the work has ended."""
        if size <= LIGHT:
            return work(*args, **kwargs)
        async with self._turn:
            task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
            cancelled: asyncio.CancelledError | None = None
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                task.exception()  # nobody waits for it any more
                raise cancelled
            return task.result()
