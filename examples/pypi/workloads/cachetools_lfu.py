"""Push keys out of a large least-frequently-used cache, the rarely used ones first."""

import random

from cachetools import LFUCache
from speedproof_workload import seed, start, stop

rng = random.Random(seed())
SIZE = 8_000
keys = rng.sample(range(10**9), SIZE + 1_000)
first, late = keys[:SIZE], keys[SIZE:]
shuffled = rng.sample(first, SIZE)
once, twice, thrice = shuffled[:6_500], shuffled[6_500:7_500], shuffled[7_500:]
uses = twice + thrice + thrice
rng.shuffle(uses)

start()
cache = LFUCache(maxsize=SIZE)
for key in first:
    cache[key] = key ^ 0x5A5A
for key in uses:
    cache[key]
# Which of equally rarely used keys goes first is not defined; which group goes before which is.
evicted = [sorted(cache.popitem() for _ in group) for group in (once, twice)]
for key in late:
    cache[key] = key ^ 0x5A5A
left = sorted(cache.items())
pairs = [*evicted, left]
stop([[[k for k, _ in group] for group in pairs], sum(v == k ^ 0x5A5A for group in pairs for k, v in group)])
