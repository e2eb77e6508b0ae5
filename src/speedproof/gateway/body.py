"""A request's body: read up to a limit, decoded up to the same limit."""

import zlib

import zstandard
from aiohttp import web

MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 1 << 16


class TooLarge(Exception):
    """The body, as sent or decoded, is larger than the gateway takes."""


class Undecodable(Exception):
    """The body is not what its Content-Encoding says, or that encoding is not known."""


async def read_body(request: web.BaseRequest) -> tuple[bytes, bool]:
    """The body as sent, and whether it was cut because it is too large."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if (request.content_length or 0) > MOST_BYTES:
        return b"", True
    read = bytearray()
    async for chunk in request.content.iter_any():
        read += chunk
        if len(read) > MOST_BYTES:
            return bytes(read[:MOST_BYTES]), True
    return bytes(read), False


def decode_body(raw: bytes, encoding: str) -> bytes:
    """The body without its content encoding. Raises TooLarge or Undecodable."""
    for name in reversed([part.strip().lower() for part in encoding.split(",") if part.strip()]):
        if name == "identity":
            continue
        try:
            raw = _decode_one(raw, name)
        except (zlib.error, zstandard.ZstdError, EOFError) as error:
            raise Undecodable(f"the body is not valid {name}") from error
    return raw


def _decode_one(raw: bytes, name: str) -> bytes:
    if name == "zstd":
        parts: list[bytes] = []
        size = 0
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        while chunk := reader.read(_CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                raise TooLarge
        return b"".join(parts)
    if name in {"gzip", "x-gzip", "deflate"}:
        machine = zlib.decompressobj(zlib.MAX_WBITS | (0 if name == "deflate" else 16))
        decoded = machine.decompress(raw, MOST_BYTES + 1)
        if len(decoded) > MOST_BYTES:
            raise TooLarge
        if not machine.eof:
            raise Undecodable(f"the body is cut-off {name}")
        return decoded
    raise Undecodable(f"the content encoding {name[:40]!r} is not known")
