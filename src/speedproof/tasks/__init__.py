"""Suites and tasks: their models, where their commits come from, what is planned and what the agent is told.

Here live the suite file and its errors, the two sources (git, pypi) turned into a repository with a base and an
expert commit, planning, the prompt, and the scan for leaked answers. Not here: checkouts and built environments
(workspace), anything that runs a task (execution, evaluation).
"""
