"""Reading and asking thousands of records without looking for garbage in between: nothing of them is any."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Hold the garbage collector meanwhile, if it was not held before: it takes a third of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
