"""Folders that attempts and arms work in: checkouts without the future, patches taken from them, built environments.

Here live the cache's layout, the prepared base of a task, the fresh workspace of an attempt, the extraction of a
patch from a tree nobody trusts, and Python environments. Not here: which commits a task has (tasks), what runs in
a workspace (execution, evaluation).
"""
