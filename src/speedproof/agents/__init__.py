"""Coding agents: one adapter each. How to find and launch it, and what evidence it leaves.

An adapter states facts only: argv, configuration files, end markers, where its own usage stands. Not here: the
process itself (execution), the model (gateway), what a failure means (diagnosis).
"""
