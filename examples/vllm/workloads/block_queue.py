"""vLLM's block pool: requests of all lengths take blocks, grow one block at a time, and give them back."""

import random
from array import array
from types import SimpleNamespace

from speedproof_workload import seed, start, stop
from vllm_checkout import packages, stand_in

stand_in("vllm.logger", "vllm.config", "vllm.utils", "vllm.distributed")
stand_in("vllm.v1.kv_cache_interface", "vllm.v1.metrics", "vllm.v1.request")
packages("vllm", "vllm.v1", "vllm.v1.core")
from vllm.v1.core.block_pool import BlockPool  # noqa: E402
from vllm.v1.core.kv_cache_utils import BlockHash  # noqa: E402

rng = random.Random(seed())
POOL, REQUESTS, GROW, RUNNING = 12_000, 1_000, 4, 24
request = SimpleNamespace(request_id="r", all_token_ids=[], lora_request=None)


def arrival():
    """(blocks it takes, hashes of those that are cached, which running request ends)."""
    size = rng.randrange(50, 450)
    cached = [BlockHash(rng.getrandbits(60), (0,)) for _ in range(rng.randrange(12))]
    return size, cached, rng.randrange(RUNNING)


arrivals = [arrival() for _ in range(REQUESTS)]
growing = [[rng.randrange(RUNNING) for _ in range(GROW)] for _ in range(REQUESTS)]
pool = BlockPool(POOL, True)

start()
taken = array("I")
running = []
for (size, cached, ends), grow in zip(arrivals, growing, strict=True):
    if len(running) == RUNNING:
        pool.free_blocks(reversed(running.pop(ends)))
    blocks = pool.get_new_blocks(size)
    taken.append(blocks[0].block_id)
    taken.append(blocks[-1].block_id)
    pool.cache_full_blocks(request, blocks, list(cached), 0, len(cached), 16, 0, hash)
    running.append(blocks)
    for number in grow:
        more = pool.get_new_blocks(1)
        taken.append(more[0].block_id)
        running[number % len(running)].extend(more)
hits = [pool.get_cached_block(h, [0]) is not None for _, cached, _ in arrivals for h in cached]
for blocks in running:
    pool.free_blocks(reversed(blocks))
# The order of the free blocks, by taking them all.
taken.extend(block.block_id for block in pool.get_new_blocks(pool.get_num_free_blocks()))
stop(bytes(hits) + taken.tobytes())
