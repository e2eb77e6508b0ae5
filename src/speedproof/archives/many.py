"""Many folders read, by several processes where that pays."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speedproof.archives.folder import read_folder
from speedproof.archives.listing import Folder
from speedproof.journal.foreign_parts import SettingSeen

Progress = Callable[[int, int], None]
"""Told of folders read, and how many there are to read."""
PAYS_BYTES = 24 << 20
"""Bytes from which more than one process pays."""
_MOST_PROCESSES = 4
_PORTION = 20
"""Folders whose records a helper sends at once."""
_BETWEEN = 5
"""Folders after which helpers are listened to: one whose pipe is full waits."""
_FOLDER_BYTES = 50_000
"""What a folder costs beside its bytes, in bytes."""


@dataclass
class Lines:
    """What is kept of a folder that was read."""

    size: int
    """Bytes read."""
    attempts: list[bytes]
    """Its attempts as JSON."""
    problems: list[bytes]
    """What is wrong with its files, as JSON."""
    settings: list[bytes] = field(default_factory=list)
    """Settings of its configurations and records as JSON."""
    claims: list[SettingSeen] = field(default_factory=list)
    """What its reports say of names that may be settings."""


@dataclass
class _Helper:
    """Another process, and what it has sent so far."""

    share: list[int]
    receiver: Any
    process: Any
    done: list[Lines] = field(default_factory=list)
    ended: bool = False

    def listen(self) -> None:
        """Take what it has sent, without waiting."""
        while not self.ended and self.receiver.poll():
            self.take()

    def take(self) -> None:
        """Take the next portion, waiting for it."""
        try:
            part = self.receiver.recv()
        except EOFError:
            part = None
        self.ended = part is None
        self.done += part or []


def read_folders(archive: str, root: Path, folders: Sequence[Folder], progress: Progress | None) -> list[Lines]:
    """Read folders; what each gave, in their order."""
    sizes = [_FOLDER_BYTES + sum(entry.size for entry in folder.files) for folder in folders]
    processes = min(_MOST_PROCESSES, len(os.sched_getaffinity(0))) if sum(sizes) >= PAYS_BYTES else 1
    mine, *others = _shares(sizes, processes)
    helpers = [_start(archive, root, folders, share) for share in others if share]
    found: dict[int, Lines] = {}
    try:
        for number, index in enumerate(mine, 1):
            found[index] = _read(archive, root, folders[index])
            if number % _BETWEEN == 0:
                _listen(helpers, len(found), len(folders), progress)
        for helper in helpers:
            while not helper.ended:
                helper.take()
                _listen(helpers, len(found), len(folders), progress)
    finally:
        for helper in helpers:
            helper.receiver.close()
            helper.process.kill()
            helper.process.join()
    for helper in helpers:
        found.update(zip(helper.share, helper.done, strict=False))
    # what a helper that was ended has not sent is read here
    return [found.get(index) or _read(archive, root, folder) for index, folder in enumerate(folders)]


def _shares(sizes: Sequence[int], processes: int) -> list[list[int]]:
    """Which folders each process reads: about as many bytes each."""
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for index, size in enumerate(sizes):
        least = loads.index(min(loads))
        loads[least] += size
        shares[least].append(index)
    return shares


def _listen(helpers: Sequence[_Helper], done: int, total: int, progress: Progress | None) -> None:
    for helper in helpers:
        helper.listen()
    if progress:
        progress(done + sum(len(helper.done) for helper in helpers), total)


def _start(archive: str, root: Path, folders: Sequence[Folder], share: list[int]) -> _Helper:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    args = (receiver, sender, archive, root, [folders[index] for index in share])
    process = context.Process(target=_read_and_send, args=args, daemon=True)
    process.start()
    sender.close()
    return _Helper(share, receiver, process)


def _read_and_send(receiver: Any, sender: Any, archive: str, root: Path, folders: list[Folder]) -> None:
    """A helper: what folders gave in portions, then nothing. It ends when nobody listens any more."""
    receiver.close()
    with suppress(BrokenPipeError):
        for begin in range(0, len(folders), _PORTION):
            sender.send([_read(archive, root, folder) for folder in folders[begin : begin + _PORTION]])
        sender.send(None)


def _read(archive: str, root: Path, folder: Folder) -> Lines:
    read = read_folder(archive, root, folder)
    return Lines(
        read.bytes,
        [attempt.model_dump_json().encode() for attempt in read.attempts],
        [each.model_dump_json().encode() for each in read.problems],
        [each.model_dump_json().encode() for each in read.settings if each.how != "claimed"],
        [each for each in read.settings if each.how == "claimed"],
    )
