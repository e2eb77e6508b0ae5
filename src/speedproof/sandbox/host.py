"""No sandbox at all: only by explicit flag, and recorded as such."""

import os
import re
from collections.abc import Sequence

from speedproof.journal import SandboxFacts
from speedproof.sandbox.box import Box, Mount, Sandbox, Started
from speedproof.sandbox.facts import no_sandbox_facts
from speedproof.sandbox.orphans import MARK, own_mark


class HostSandbox(Sandbox):
    """Runs a box as a plain process: inside paths in its command and environment become the host's."""

    kind = "none"

    @property
    def uid(self) -> int:
        return os.geteuid()

    def as_seen(self, text: str, mounts: Sequence[Mount]) -> str:
        targets = {m.target: str(m.source) for m in mounts}
        longest_first = sorted(targets, key=len, reverse=True)
        pattern = "|".join(rf"(?<![\w./-]){re.escape(t)}(?![\w.-])" for t in longest_first) or r"(?!)"
        return re.sub(pattern, lambda match: targets[match.group()], text)

    def start(self, box: Box, info_fd: int | None = None) -> Started:  # noqa: ARG002 - there is no inside to name
        argv = [self.as_seen(a, box.mounts) for a in box.argv]
        if box.cpu is not None:
            argv = ["taskset", "-c", str(box.cpu), *argv]
        env = {**{k: self.as_seen(v, box.mounts) for k, v in box.env.items()}, MARK: own_mark()}
        return Started(argv, env, box.keep_fds, self.as_seen(box.cwd, box.mounts))

    def probe(self) -> SandboxFacts:
        return no_sandbox_facts()
