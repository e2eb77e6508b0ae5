"""vLLM's LRU evictor: long prompts freed at once, evicted block by block, some blocks used again in between."""

import random

from speedproof_workload import seed, start, stop
from vllm_checkout import packages

packages("vllm", "vllm.core")
from vllm.core.evictor import LRUEvictor  # noqa: E402

rng = random.Random(seed())
PROMPTS, BLOCKS, STEPS, EVICTED, REUSED = 4, 2048, 15, 320, 64


def freed(numbers):
    """(block, hash, tokens hashed) of one prompt's blocks in the order they are freed, which is no fixed one."""
    return [(n, rng.getrandbits(60), 16 * tokens) for tokens, n in enumerate(rng.sample(numbers, len(numbers)), 1)]


prompts = [freed(range(p * BLOCKS, (p + 1) * BLOCKS)) for p in range(PROMPTS)]
late = [freed(range(10**6 + s * EVICTED, 10**6 + (s + 1) * EVICTED)) for s in range(STEPS)]
for prompt in prompts:
    rng.shuffle(prompt)
picks = [[rng.random() for _ in range(REUSED)] for _ in range(STEPS)]

start()
evictor = LRUEvictor()
clock, held, evicted = 0.0, {}, []
for prompt in prompts:
    clock += 1
    for block, content, tokens in prompt:
        evictor.add(block, content, tokens, clock)
        held[block] = content
for step in range(STEPS):
    clock += 1
    blocks = sorted(held)
    used = sorted({blocks[int(p * len(blocks))] for p in picks[step]})
    for block in used:
        evictor.remove(block)
    for _ in range(EVICTED):
        block, content = evictor.evict()
        evicted.append((block, content))
        del held[block]
    for tokens, block in enumerate(used, 1):
        evictor.add(block, held[block], 16 * tokens, clock)
    clock += 1
    for block, content, tokens in late[step]:
        evictor.add(block, content, tokens, clock)
        held[block] = content
stop([evicted, evictor.num_blocks, [block in evictor for block in (0, 1, BLOCKS, 10**6)]])
