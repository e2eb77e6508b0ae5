"""vLLM's prefix cache: the longest cached prefix of many prompts, while blocks come and go."""

import random
from types import SimpleNamespace

from speedproof_workload import seed, start, stop
from vllm_checkout import packages, stand_in

stand_in("vllm.logger", "vllm.config", "vllm.utils", "vllm.v1.kv_cache_interface", "vllm.v1.metrics", "vllm.v1.request")
packages("vllm", "vllm.v1", "vllm.v1.core")
from vllm.v1.core.block_pool import BlockPool  # noqa: E402
from vllm.v1.core.kv_cache_utils import BlockHashType  # noqa: E402

rng = random.Random(seed())
PROMPTS, BLOCKS, ROUNDS, POOL = 20, 384, 80, 9_000


def chain(length):
    """Hashes of a prompt's blocks."""
    return [BlockHashType(rng.getrandbits(60), (rng.randrange(128_000), rng.randrange(128_000))) for _ in range(length)]


prompts = [chain(BLOCKS) for _ in range(PROMPTS)]
for number in range(4):
    # Some prompts begin alike, so that one hash has several blocks.
    prompts[number + 4] = prompts[number][: rng.randrange(50, 300)] + chain(60)
orders = [rng.sample(range(PROMPTS), PROMPTS) for _ in range(ROUNDS)]
arrivals = [rng.randrange(PROMPTS) for _ in range(ROUNDS)]
request = SimpleNamespace(request_id="r", all_token_ids=[])

pool = BlockPool(POOL, True)


def admit(prompt):
    """Run a prompt without a look at the cache: its blocks are cached, then freed to be evicted some time."""
    blocks = pool.get_new_blocks(len(prompt))
    pool.cache_full_blocks(request, blocks, list(prompt), 0, len(prompt), 16, hash)
    pool.free_blocks(reversed(blocks))


for prompt in prompts:
    admit(prompt)

start()
found = []
for round_ in range(ROUNDS):
    for number in orders[round_]:
        total = 0
        for block_hash in prompts[number]:
            block = pool.get_cached_block(block_hash)
            if block is None:
                break
            total += block.block_id
        found.append((number, total))
    admit(prompts[arrivals[round_]])
stop(found)
