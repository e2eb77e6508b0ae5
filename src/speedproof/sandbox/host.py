"""No sandbox at all: only by explicit flag, and recorded as such."""

import os
import re

from speedproof.journal import SandboxFacts
from speedproof.sandbox.box import Box, Mount, Sandbox, Started
from speedproof.sandbox.facts import no_sandbox_facts


class HostSandbox(Sandbox):
    """Runs a box as a plain process: inside paths in its command and environment become the host's."""

    kind = "none"

    @property
    def uid(self) -> int:
        return os.geteuid()

    def inside(self, mount: Mount) -> str:
        return str(mount.source)

    def start(self, box: Box, info_fd: int | None = None) -> Started:  # noqa: ARG002 - there is no inside to name
        targets = {m.target: str(m.source) for m in box.mounts}
        longest_first = sorted(targets, key=len, reverse=True)
        pattern = re.compile("|".join(rf"(?<![\w./-]){re.escape(t)}(?![\w.-])" for t in longest_first) or r"(?!)")

        def outside(text: str) -> str:
            return pattern.sub(lambda match: targets[match.group()], text)

        argv = [outside(a) for a in box.argv]
        if box.cpu is not None:
            argv = ["taskset", "-c", str(box.cpu), *argv]
        return Started(argv, {k: outside(v) for k, v in box.env.items()}, box.keep_fds, outside(box.cwd))

    def probe(self) -> SandboxFacts:
        return no_sandbox_facts()
