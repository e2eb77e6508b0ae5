"""Import single modules of a vLLM checkout (the working directory) without torch, a GPU or its heavy packages."""

import importlib.abc
import importlib.machinery
import logging
import os
import sys
import types

# ruff: noqa: ARG001, ARG002, ARG005 - a stand-in takes whatever it is given
logging.disable(logging.CRITICAL)


class _Inert(type):
    """A class that may be called, subclassed, subscripted, or-ed and asked for any attribute, and does nothing."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return inert(name)

    def __or__(cls, other):
        return object

    __ror__ = __or__

    def __getitem__(cls, key):
        return cls


def inert(name):
    """A stand-in for a class, function or decorator of a module that is not there."""

    def attribute(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return inert(name)

    def call(self, *args, **kwargs):
        # As a decorator it leaves the function as it is.
        return args[0] if args and callable(args[0]) else None

    body = {"__init__": lambda self, *args, **kwargs: None, "__getattr__": attribute, "__call__": call}
    return _Inert(name, (), body)


class _InertModule(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = inert(name)
        setattr(self, name, value)
        return value


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        ours = any(name == known or name.startswith(known + ".") for known in self.names)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def create_module(self, spec):
        return _InertModule(spec.name)

    def exec_module(self, module):
        module.__path__ = []


def stand_in(*names):
    """Replace these modules, and all below them, by inert ones."""
    sys.meta_path.insert(0, _Finder(names))


def packages(*names):
    """Make these packages of the checkout importable without running their __init__.py."""
    for name in names:
        package = types.ModuleType(name)
        package.__path__ = [os.path.join(os.getcwd(), *name.split("."))]  # noqa: PTH109, PTH118
        sys.modules[name] = package
