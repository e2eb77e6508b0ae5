"""The command line: one thin module a command, each a call of the library.

Here live options, the live display and exit codes. Not here: anything a program could not do with the library.
Exit codes: 0 done, and for `run` and `resume`: all proven; 1 some not proven, an agent that `agents check` found not to
work, a difference that `replay` found, or a bug of ours; 2 the user can mend it (message on stderr); 3 infrastructure
or a provider kept items of a run from a result; 130 interrupted, records whole.
"""

from speedproof.cli.app import main

__all__ = ["main"]
