"""An agent's output, compressed as it comes: of the part that is written at once a kill loses a second at most."""

import os
import selectors
import threading
import time
from pathlib import Path

import zstandard

FLUSH_S = 0.5
KEPT = 8 << 20
"""Bytes kept of the beginning and of the end; of what an endless loop prints between, only the number is noted.

The beginning is written as it comes. What follows is written when the process has ended: a kill of ours loses it.
"""


class LogWriter:
    """Reads a pipe to its end in a thread of its own and writes NAME.log.zst."""

    def __init__(self, path: Path) -> None:
        """Open the log and a pipe; `descriptor` is the end to hand to the process. Raises OSError."""
        self._read, self.descriptor = os.pipe()
        self._file = path.open("wb")
        self.last_output = time.monotonic()
        """time.monotonic() of the last byte."""
        self.failure: OSError | None = None
        """Why the log could not be written; output is then drained and lost."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._pump, name=path.name, daemon=True)

    def start(self) -> None:
        """Begin to read; call it once the process holds its end."""
        os.close(self.descriptor)
        self._thread.start()

    def finish(self) -> None:
        """The process has ended: write what it left in the pipe. Raises OSError when the disk refused some of it.

        Without a sandbox something it started may still hold the pipe: nobody waits for that.
        """
        self._ended.set()
        self._thread.join()
        self._file.close()
        if self.failure is not None:
            raise self.failure

    def _pump(self) -> None:
        compressor = zstandard.ZstdCompressor(level=3).compressobj()
        flushed = time.monotonic()
        pending = False
        room, tail, left_out = KEPT, bytearray(), 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while True:
                ended = self._ended.is_set()
                ready = selector.select(0 if ended else FLUSH_S)
                chunk = os.read(self._read, 1 << 16) if ready else None
                if chunk == b"" or (ended and chunk is None):
                    break
                if chunk:
                    self.last_output = time.monotonic()
                    head, rest = chunk[:room], chunk[room:]
                    room -= len(head)
                    if head:
                        pending = True
                        self._write(compressor.compress(head))
                    tail += rest
                    if len(tail) > 2 * KEPT:
                        left_out += len(tail) - KEPT
                        del tail[:-KEPT]
                if pending and time.monotonic() - flushed >= FLUSH_S:
                    self._write(compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
                    flushed, pending = time.monotonic(), False
        os.close(self._read)
        if left_out:
            self._write(compressor.compress(f"\n[speedproof: {left_out:,} bytes are left out here]\n".encode()))
        self._write(compressor.compress(bytes(tail)) + compressor.flush())

    def _write(self, data: bytes) -> None:
        if self.failure is not None:
            return
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self.failure = error
