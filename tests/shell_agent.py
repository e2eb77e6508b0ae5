"""An agent that is a shell command, for attempts that must go wrong on purpose; all else is as in any run.

As a program: the command line, with the agent `shell` running $SHELL_AGENT.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import registry
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left
from speedproof.cli import main
from speedproof.execution import preflight
from speedproof.execution.probe import FILE
from speedproof.journal.attempt import AgentOutcome


class Shell:
    """The adapter. `fails_in` names a method that has a bug."""

    name = "shell"
    protocol: Literal["chat"] = "chat"

    def __init__(self, command: str, uses_model: bool = True, fails_in: str = "") -> None:
        self.command, self.uses_model, self.fails_in = command, uses_model, fails_in

    def _maybe_fail(self, where: str) -> None:
        if self.fails_in == where:
            raise ZeroDivisionError(f"a bug in {where}()")

    def locate(self, progress: Callable[[str], None]) -> Installation:
        return Installation("1.0", Path("/bin/sh"), ())

    def launch(self, context: LaunchContext) -> Launch:
        self._maybe_fail("launch")
        if FILE in context.prompt:  # the preflight's probe: it goes wrong in attempts alone
            return Launch(("/bin/true",))
        env = {"URL": context.base_url, "TOKEN": context.token}
        return Launch(("/bin/sh", "-c", self.command), env, {"a/given.txt": "given\n"}, b"on standard input\n")

    def outcome(self, left: Left) -> AgentOutcome | None:
        self._maybe_fail("outcome")
        return AgentOutcome(finished=True)

    def trajectory(self, left: Left) -> Path | None:
        self._maybe_fail("trajectory")
        path = left.home / "trajectory.json"
        return path if path.exists() or path.is_symlink() else None


def finds(agent: Shell) -> Callable[..., Any]:
    """What stands in for registry.get_agent."""

    def get(name: str, *arguments: Any, **options: Any) -> Any:
        return agent if name == "shell" else registry.get_agent(name, *arguments, **options)

    return get


if __name__ == "__main__":
    registry.NAMES = (*registry.NAMES, "shell")
    preflight.get_agent = finds(Shell(os.environ["SHELL_AGENT"]))
    main()
