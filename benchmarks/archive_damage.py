"""Spoils files of an archive in the ways in which real ones are: for benchmarks/archive.py --damage."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

LONG_LINE = 200 << 20
"""Bytes of the one line that one log gets."""


def spoil(archive: Path, count: int, seed: int = 7) -> dict[str, int]:
    """Spoil so many files of it, the same ones each time; how many in which way."""
    chance = random.Random(seed)
    files = sorted(path for path in archive.rglob("*") if path.is_file())
    done: Counter[str] = Counter()
    for number, path in enumerate(chance.sample(files, min(count, len(files)))):
        name = list(WAYS)[number % len(WAYS)]
        WAYS[name](path, chance)
        done[name] += 1
    log = next(path for path in files if path.name.endswith("_stdout.txt") and path.is_file())
    log.write_bytes(b"x" * LONG_LINE)
    return dict(done) | {"of one long line": 1}


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def _nuls(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    at = chance.randrange(len(data) + 1)
    path.write_bytes(data[:at] + bytes(4096) + data[at:])


def _not_text(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes() or b" ")
    for _ in range(20):
        data[chance.randrange(len(data))] = chance.randrange(0x80, 0x100)
    path.write_bytes(data)


def _loop(path: Path, chance: random.Random) -> None:  # noqa: ARG001
    path.unlink()
    path.symlink_to(path.parent, target_is_directory=True)


def _outside(path: Path, chance: random.Random) -> None:  # noqa: ARG001
    path.unlink()
    path.symlink_to("/etc/passwd")


WAYS: dict[str, Callable[[Path, random.Random], object]] = {
    "cut": _cut,
    "empty": lambda path, _: path.write_bytes(b""),
    "with NULs": _nuls,
    "not UTF-8": _not_text,
    "of another type": lambda path, chance: path.write_text(chance.choice(["[]", "3", '"x"', "null", "[[{}]]", "{}"])),
    "nested deeply": lambda path, _: path.write_text('{"a":[' * 50_000),
    "links to their folder": _loop,
    "links outside": _outside,
    "gone": lambda path, _: path.unlink(),
}
"""What can be done to a file."""
