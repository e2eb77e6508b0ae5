"""Encode many HTTP/2 header blocks; most field names stand in HPACK's static table."""

import random

from hpack import Encoder
from speedproof_workload import seed, start, stop

rng = random.Random(seed())
NAMES = """user-agent www-authenticate via vary accept set-cookie transfer-encoding location if-range server range
referer strict-transport-security retry-after proxy-authorization max-forwards link x-trace x-request"""
names = NAMES.split()


def block():
    """A request's or a response's fields."""
    if rng.random() < 0.5:
        fields = [
            (":method", rng.choice(("GET", "POST", "PUT"))),
            (":path", rng.choice(("/", "/index.html", f"/a/{rng.randrange(40)}"))),
            (":scheme", rng.choice(("http", "https"))),
            (":authority", f"h{rng.randrange(9)}.example"),
        ]
    else:
        fields = [(":status", rng.choice(("200", "204", "206", "301", "404", "418", "500")))]
    return fields + [(rng.choice(names), f"v{rng.randrange(4000)}") for _ in range(rng.randrange(5, 9))]


connections = [
    (rng.choice((128, 256)), huffman, [block() for _ in range(rng.randrange(850, 900))])
    for huffman in (True, False, False, False) * 2
]

start()
encoded = []
for table_size, huffman, blocks in connections:
    encoder = Encoder()
    encoder.header_table_size = table_size
    encoded += [encoder.encode(fields, huffman=huffman) for fields in blocks]
stop(b"".join(len(data).to_bytes(4, "big") + data for data in encoded))
