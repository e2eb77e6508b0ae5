"""Coding agents: one adapter each. How to find and launch it, and what evidence it leaves.

An adapter states facts only: argv, configuration files, the parameters it can be configured with, end markers, where
its own usage stands. Here live the adapters, the registry of their names, and how an agent is installed into an
environment of its own. Not here: the process itself (execution), the model (gateway), what a failure means (diagnosis).
"""
