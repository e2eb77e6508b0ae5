"""Judging: is a patch right, is it faster, is it honest, and how is that known.

Here live the task made ready to run, arms, the tests on an arm, the stopwatch around a workload, measuring in blocks,
the statistics and the rule that decides, the checks, the verdict, and the judge who goes through them. Not here:
taking the patch from a workspace (workspace), when a run is judged (execution), rates over many verdicts (analysis).
"""
