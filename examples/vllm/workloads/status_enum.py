"""vLLM's scheduler asks its sequence groups for their status at every step, while sequences come to their end."""

import random

from speedproof_workload import seed, start, stop
from vllm_checkout import packages, stand_in

stand_in("pydantic", "torch", "typing_extensions", "vllm.logger", "vllm.utils")
stand_in("vllm.inputs", "vllm.lora", "vllm.multimodal", "vllm.spec_decode")
packages("vllm")
from vllm.sampling_params import SamplingParams  # noqa: E402
from vllm.sequence import Sequence, SequenceGroup, SequenceStatus  # noqa: E402

rng = random.Random(seed())
GROUPS, SAMPLES, STEPS, CHANGES = 200, 4, 130, 60
statuses = list(SequenceStatus)

sequences = [Sequence(n, {"prompt_token_ids": [1, 2, n], "prompt": "x"}, 16) for n in range(GROUPS * SAMPLES)]
for sequence in sequences:
    sequence.status = rng.choice(statuses)
groups = [
    SequenceGroup(str(g), sequences[g * SAMPLES : (g + 1) * SAMPLES], 0.0, sampling_params=SamplingParams(n=SAMPLES))
    for g in range(GROUPS)
]
changes = [[(rng.choice(sequences), rng.choice(statuses)) for _ in range(CHANGES)] for _ in range(STEPS)]

start()
seen = []
for step in range(STEPS):
    unfinished = finished = done = running = 0
    for number, group in enumerate(groups, 1):
        unfinished += number * len(group.get_unfinished_seqs())
        finished += number * len(group.get_finished_seqs())
        done += number * group.is_finished()
        running += number * group.get_max_num_running_seqs()
    seen.append((unfinished, finished, done, running))
    for sequence, status in changes[step]:
        sequence.status = status
reasons = [SequenceStatus.get_finished_reason(sequence.status) for sequence in sequences]
ended = [bool(SequenceStatus.is_finished(status)) for status in statuses]
stop([seen, reasons, ended, [status.name for status in statuses]])
