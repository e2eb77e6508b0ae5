"""Speedproof runs coding agents on performance-optimization commits and proves, or disproves, the speedup."""

from importlib.metadata import version

__version__ = version("speedproof")
