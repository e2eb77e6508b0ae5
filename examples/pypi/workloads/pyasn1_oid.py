"""Decode BER object identifiers, ordinary and very long, absolute and relative."""

import random

from pyasn1.codec.ber import decoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import univ
from speedproof_workload import seed, start, stop

rng = random.Random(seed())


def arc(number):
    """One arc in base 128, high bit set on all octets but the last."""
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(number & 0x7F | 0x80)
    return bytes(reversed(octets))


def tlv(tag, body):
    """Tag, length, value."""
    size = len(body)
    length = bytes([size]) if size < 128 else b"\x83" + size.to_bytes(3, "big")
    return bytes([tag]) + length + body


def arcs(count, limit):
    return b"".join(arc(rng.randrange(limit)) for _ in range(count))


ABSOLUTE, RELATIVE = 0x06, 0x0D
substrates = [tlv(ABSOLUTE, arc(rng.randrange(200)) + arcs(rng.randrange(3, 10), 40_000)) for _ in range(200)]
substrates += [tlv(RELATIVE, arcs(rng.randrange(3, 10), 40_000)) for _ in range(50)]
substrates += [tlv(ABSOLUTE, arc(rng.randrange(200)) + arcs(rng.randrange(8_500, 9_000), 400)) for _ in range(3)]
substrates += [tlv(RELATIVE, arcs(rng.randrange(8_500, 9_000), 400))]
# One that ends in the middle of an arc must still be refused.
substrates += [tlv(ABSOLUTE, arcs(rng.randrange(3, 6), 100) + b"\xff")]
rng.shuffle(substrates)

start()
decoded = []
for substrate in substrates:
    try:
        value, rest = decoder.decode(substrate)
    except PyAsn1Error:
        decoded.append("refused")
    else:
        decoded.append([isinstance(value, univ.ObjectIdentifier), value.asTuple(), len(rest)])
stop(decoded)
