"""An agent's output, compressed as it comes: of the part that is written at once a kill loses a second at most."""

import fcntl
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
_PIPE_BYTES = 1 << 20
"""Bytes that the pipe is to hold: so much output needs no waiting for us."""


class LogWriter:
    """Reads a pipe to its end in a thread of its own and writes NAME.log.zst."""

    def __init__(self, path: Path) -> None:
        """Open the log and a pipe; `descriptor` is the end to hand to the process. Raises OSError."""
        self._file = path.open("wb")
        self._read, self.descriptor = os.pipe()
        self._holds = _widened(self._read)
        self.last_output = time.monotonic()
        """time.monotonic() of the last byte."""
        self.silent = True
        """Whether nothing was printed yet."""
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

        Nobody waits for a process that ran away and still holds the pipe.
        """
        self._ended.set()
        if self._thread.ident is None:
            self.start()  # nothing was launched
        self._thread.join()
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or error
        if self.failure is not None:
            raise self.failure

    def _pump(self) -> None:
        compressor = zstandard.ZstdCompressor(level=3).compressobj()
        flushed = time.monotonic()
        pending = False
        room, left_out = KEPT, 0
        tail: list[bytes] = []
        tail_size = 0
        left = self._holds  # what the pipe may still hold when its process has ended
        with selectors.DefaultSelector() as selector:
            selector.register(self._read, selectors.EVENT_READ)
            while left > 0:
                ended = self._ended.is_set()
                ready = selector.select(0 if ended else FLUSH_S)
                chunk = os.read(self._read, _PIPE_BYTES) if ready else None
                if chunk == b"" or (ended and chunk is None):
                    break
                if chunk:
                    self.last_output, self.silent = time.monotonic(), False
                    left -= len(chunk) if ended else 0
                    head, rest = chunk[:room], chunk[room:]
                    room -= len(head)
                    if head:
                        pending = True
                        self._write(compressor.compress(head))
                    if rest:
                        tail.append(rest)
                        tail_size += len(rest)
                        if tail_size > 2 * KEPT:
                            kept = b"".join(tail)[-KEPT:]
                            left_out += tail_size - len(kept)
                            tail, tail_size = [kept], len(kept)
                if pending and time.monotonic() - flushed >= FLUSH_S:
                    self._write(compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
                    flushed, pending = time.monotonic(), False
        os.close(self._read)
        if left_out:
            self._write(compressor.compress(f"\n[speedproof: {left_out:,} bytes are left out here]\n".encode()))
        self._write(compressor.compress(b"".join(tail)) + compressor.flush())

    def _write(self, data: bytes) -> None:
        if self.failure is not None:
            return
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self.failure = error


def _widened(pipe: int) -> int:
    """Let a pipe hold more, where that is allowed; the bytes that it holds."""
    try:
        return fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except PermissionError:  # one user's pipes may hold so much together
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
