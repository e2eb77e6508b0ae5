"""Runs: what is planned, made ready, attempted, judged, taken up again, replayed.

Here live
- the plan: what is to be done (`plan`, `selection`), what earlier runs say of it (`history`, `estimate`, `planned`);
- the preflight: `preflight`, its `checks`, the `probe` of an agent with its model, the `doctor` that tells of them;
- the run: its `setup`, the `schedule` of what may begin, the `work` of one process, the `engine` that
  begins and resumes;
- the attempt: its life (`attempt`), its process (`launched`, `bounds`), what it left (`collecting`), what a
  kill left of it (`recovery`);
- seeing and steering: `progress`, `stopping`, `notify`, `housekeeping`; and the `replay` of an attempt.

Not here: isolation (sandbox), agents' ways (agents), the wire (gateway), what a failure means (diagnosis), how patches
are judged (evaluation), what is said of it all (analysis, report).
"""
