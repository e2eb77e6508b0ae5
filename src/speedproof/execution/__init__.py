"""Runs: what is planned, made ready, attempted, judged, replayed.

Here live planning, the preflight, what a run asks of the wire, the life of one attempt and the engine that goes through
a run's items; the replay of an attempt; the trial by which an agent is checked, and the table of what becomes of each
agent when its provider fails. Not here:
isolation (sandbox), agents' ways (agents), the wire (gateway), what a failure means (diagnosis), how patches are
judged (evaluation), what is said of it all (analysis, report).
"""
