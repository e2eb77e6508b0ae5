"""A request's body: read up to a limit, decoded up to the same limit."""

import asyncio
import zlib

import zstandard
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from speedproof.gateway.passing import AgentGone
from speedproof.gateway.refusal import Refusal

MOST_BYTES = 32 << 20
"""Bytes of a body, as sent and decoded; Anthropic takes no more, and no conversation is as long."""
LARGE = 1 << 20
"""Bytes of a body above which it needs one of its session's few places for large ones."""
LONGEST_S = 60.0
"""Seconds in which a body must have arrived."""
_CHUNK = 1 << 16


def _too_large() -> Refusal:
    return Refusal(413, f"The request body is larger than {MOST_BYTES >> 20} MiB.", "request_too_large")


def _undecodable(why: str) -> Refusal:
    return Refusal(400, f"The request body cannot be decoded: {why}.", "invalid_content_encoding")


class Place:
    """A request's place among the large ones of its session: taken when it turns out to be needed."""

    def __init__(self, among: asyncio.Semaphore) -> None:
        self._among = among
        self._held = False

    async def take(self) -> None:
        """Wait for it."""
        if not self._held:
            await self._among.acquire()
            self._held = True

    def give_back(self) -> None:
        """Let another have it."""
        if self._held:
            self._held = False
            self._among.release()


async def read_body(request: web.BaseRequest, into: list[bytes], place: Place) -> None:
    """Read the body as sent, in the chunks in which it comes. It needs `place` when it is large.

    Raises Refusal for a body that is too large, too slow or broken, and AgentGone; `into` then holds what came.
    """
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (request.content_length or 0) > MOST_BYTES:
        raise _too_large()
    try:
        if request.content.is_eof():  # all of it came with the head
            into.append(request.content.read_nowait())
            if len(into[0]) > LARGE:
                await place.take()
            return
        size = 0
        async with asyncio.timeout(LONGEST_S) as limit:
            async for chunk in request.content.iter_any():
                if size <= LARGE < size + len(chunk):
                    limit.reschedule(None)
                    await place.take()
                    limit.reschedule(asyncio.get_running_loop().time() + LONGEST_S)
                size += len(chunk)
                if size > MOST_BYTES:
                    raise _too_large()
                into.append(chunk)
    except TimeoutError as error:
        raise Refusal(408, f"The request body did not arrive in {LONGEST_S:.0f} s.", "request_too_slow") from error
    except (web.RequestPayloadError, HttpProcessingError) as error:
        raise Refusal(400, "The request body is no whole HTTP body.", "invalid_http") from error
    except ConnectionError as error:
        raise AgentGone from error


def decode_body(raw: bytes, encoding: str) -> bytes:
    """The body without its content encoding. Raises Refusal."""
    names = [part.strip().lower() for part in encoding.split(",") if part.strip()]
    if len(names) > 3:
        raise _undecodable("it has more than three content encodings")
    for name in reversed(names):
        if name == "identity":
            continue
        try:
            raw = _decode_one(raw, name)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise _undecodable(f"the body is not valid {name}") from error
    return raw


def _decode_one(raw: bytes, name: str) -> bytes:
    if name == "zstd":
        parts: list[bytes] = []
        size = 0
        reader = zstandard.ZstdDecompressor(max_window_size=MOST_BYTES).stream_reader(raw, read_across_frames=True)
        while chunk := reader.read(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                raise _too_large()
        return b"".join(parts)
    if name in {"gzip", "x-gzip", "deflate"}:
        machine = zlib.decompressobj(zlib.MAX_WBITS | (0 if name == "deflate" else 16))
        decoded = machine.decompress(raw, MOST_BYTES + 1)
        if len(decoded) > MOST_BYTES:
            raise _too_large()
        if not machine.eof:
            raise _undecodable(f"the body is cut-off {name}")
        return decoded
    raise _undecodable(f"the content encoding {name[:40]!r} is not known")
