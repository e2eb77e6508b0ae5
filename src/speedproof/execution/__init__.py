"""Runs: what is planned, made ready, attempted, judged.

Here live planning, the preflight, the life of one attempt and the engine that goes through a run's items. Not here:
isolation (sandbox), agents' ways (agents), the wire (gateway), what a failure means (diagnosis), how patches are
judged (evaluation), what is said of it all (analysis, report).
"""
