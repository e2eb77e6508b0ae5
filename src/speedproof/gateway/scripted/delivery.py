"""How the scripted model's answers reach its client: whole, or as a fault has it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from speedproof.gateway.scripted.script import Fault

_PIECES = 8
"""In how many pieces a body is sent when its delivery matters."""


async def whole(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    """The answer as it should be."""
    for chunk in chunks:
        yield chunk


def in_pieces(body: bytes) -> list[bytes]:
    """A body that is not streamed, in the pieces of which a fault speaks."""
    size = -(-len(body) // _PIECES)
    return [body[i : i + size] for i in range(0, len(body), size)]


async def silence(seconds: float | None) -> NoReturn:
    """Say nothing, for ever with null. Raises ConnectionResetError when the time is over."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
    raise ConnectionResetError("the scripted provider broke off after its silence")


async def faulty(chunks: Sequence[bytes], fault: Fault, *, stream: bool) -> AsyncIterator[bytes]:
    """The answer as the fault lets it through; a usage fault lets all of it. The last chunk never comes through a
    stall or a cut. Raises ConnectionResetError where the connection breaks."""
    match fault.kind:
        case "drip_s":
            for number, chunk in enumerate(chunks):
                await asyncio.sleep(fault.drip_s or 0 if number else 0)
                yield chunk
        case "stall" | "cut":
            most = fault.stall if fault.kind == "stall" else fault.cut
            for chunk in chunks[: min(most or 0, len(chunks) - 1)]:
                yield chunk
            if fault.kind == "stall":
                await silence(fault.hang_s)
            raise ConnectionResetError("the scripted provider broke the connection")
        case "malformed":
            half = len(chunks) // 2
            for chunk in chunks[:half]:
                yield chunk
            if stream:  # an event that ends in the middle of its JSON
                yield chunks[half].rstrip()[: len(chunks[half]) * 2 // 3] + b"\n\n"
        case _:
            for chunk in chunks:
                yield chunk
