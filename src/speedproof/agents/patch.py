"""The patch agent: no model, it applies a given patch. The expert, the no-op control, other people's patches."""

import re
import shutil
from pathlib import Path
from typing import Literal

from speedproof.agents import reading
from speedproof.agents.installed import reported_version
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left
from speedproof.errors import AgentError
from speedproof.journal.attempt import AgentOutcome
from speedproof.workspace.cache import Progress


class PatchAgent:
    """Applies one patch with `git apply`, under the same conditions as every other agent."""

    name = "patch"
    uses_model = False
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "none"
    parameters: tuple[str, ...] = ()

    def __init__(self, patch: bytes) -> None:
        self._patch = patch

    def locate(self, progress: Progress) -> Installation:  # noqa: ARG002
        """The system's git, which is visible inside anyway. Raises AgentError."""
        git = shutil.which("git")
        if git is None:
            raise AgentError("git is not installed", hint="apt-get install git")
        return Installation(version=reported_version("git", [git, "--version"]), executable=Path(git), mounts=())

    def launch(self, context: LaunchContext) -> Launch:  # noqa: ARG002
        """The patch goes in on standard input: bytes, since not every patch is text."""
        argv = ("git", "apply", "--verbose", "--whitespace=nowarn", "-") if self._patch.strip() else ("true",)
        return Launch(argv=argv, env={"LC_ALL": "C"}, stdin=self._patch)

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From git's own words for each file, never from the exit code."""
        lines = list(enumerate(left.stderr, 1))
        for number, line in lines:
            if line.startswith(("error: ", "fatal: ")) and not line.startswith("error: while searching for:"):
                return AgentOutcome(
                    finished=False, error=reading.text(line), error_file="stderr.log", error_line=number
                )
        if any(re.fullmatch(r"Applied patch .* cleanly\.\s*", line) for _, line in lines):
            return AgentOutcome(finished=True)
        return None

    def trajectory(self, left: Left) -> Path | None:  # noqa: ARG002
        """It leaves none."""
        return None
