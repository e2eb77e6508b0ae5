"""The smallest network that spans a long, unordered list of addresses."""

import random

from netaddr import IPNetwork, spanning_cidr
from speedproof_workload import seed, start, stop

rng = random.Random(seed())


def dense_then_two_outliers(count):
    """Addresses within one /12, but for a lowest and a highest one, anywhere in the list."""
    net = rng.randrange(20, 100)
    low = rng.randrange(1, 16)
    high = rng.randrange(112, 220)
    addresses = [f"{net}.{16 + rng.randrange(16)}.{rng.randrange(256)}.{rng.randrange(256)}" for _ in range(count - 2)]
    outliers = [
        (f"{net}.{low}.{rng.randrange(256)}.{rng.randrange(256)}"),
        (f"{net}.{high}.{rng.randrange(256)}.{rng.randrange(256)}"),
    ]
    if rng.random() < 0.5:
        # Only one of the two lies far away.
        outliers.pop(rng.randrange(2))
    for outlier in outliers:
        addresses.insert(rng.randrange(len(addresses) + 1), outlier)
    return addresses


def networks(count):
    """Small networks instead of addresses."""
    return [IPNetwork(f"{a}/{rng.randrange(26, 33)}") for a in dense_then_two_outliers(count)]


def version_6(count):
    """IPv6 addresses within one /64, with one outlier."""
    addresses = [f"2001:db8:0:1::{rng.randrange(1, 65536):x}" for _ in range(count - 1)]
    addresses.insert(rng.randrange(count), f"2001:db8:{rng.randrange(1, 65536):x}::{rng.randrange(1, 65536):x}")
    return addresses


lists = [dense_then_two_outliers(rng.randrange(3500, 4000)) for _ in range(5)]
lists += [networks(rng.randrange(3500, 4000)) for _ in range(5)]
lists += [version_6(rng.randrange(1500, 2000))]
lists += [dense_then_two_outliers(rng.randrange(4, 40)) for _ in range(40)]
rng.shuffle(lists)

start()
spans = [spanning_cidr(addresses) for addresses in lists]
stop([str(span) for span in spans])
