"""The command line: one thin module a command, each a call of the library.

Here live options, the live display and exit codes. Not here: anything a program could not do with the library.
Exit codes: 0 done; 1 a bug of ours, an agent that `agents check` found not to work, or a difference that `replay`
found; 2 the user can mend it (message on stderr); 130 interrupted, records whole.
"""

from speedproof.cli.app import main

__all__ = ["main"]
