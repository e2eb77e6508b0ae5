"""What a probe run inside a sandbox says of it."""

import os
from pathlib import Path
from typing import Literal

from speedproof.errors import SandboxError
from speedproof.journal import SandboxFacts

PROBE = """
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/self/status
echo "ns_pid: $(readlink /proc/self/ns/pid)"
echo "ns_net: $(readlink /proc/self/ns/net)"
sed -n '3,$p' /proc/net/dev | cut -d: -f1 | sed 's/^ */if: /'
while read -r _ _ _ _ point options _; do echo "mount: $point ${options%%,*}"; done < /proc/self/mountinfo
"""
"""A POSIX shell script; its output is read by `facts_from_probe`."""


def facts_from_probe(
    text: str, kind: Literal["bubblewrap", "none"], version: str | None, host_uid: int
) -> SandboxFacts:
    """SandboxFacts from the output of PROBE. Raises SandboxError when it is incomplete."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.strip())
    try:
        own_network = fields["ns_net"][0] != str(Path("/proc/self/ns/net").readlink())
        only_loopback = fields.get("if", []) in ([], ["lo"])
        return SandboxFacts(
            kind=kind,
            version=version,
            host_uid=host_uid,
            network="none" if own_network and only_loopback else "host",
            own_pids=fields["ns_pid"][0] != str(Path("/proc/self/ns/pid").readlink()),
            no_new_privileges=fields["NoNewPrivs"][0] == "1",
            system_calls_filtered=fields["Seccomp"][0] == "2",
            capabilities=fields["CapEff"][0],
            mounts=tuple(fields.get("mount", [])),
        )
    except (KeyError, IndexError) as error:
        raise SandboxError(f"the probe inside the sandbox said too little: {text[:500]!r}") from error


def no_sandbox_facts() -> SandboxFacts:
    """The facts of running without a sandbox."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return SandboxFacts(
        kind="none",
        version=None,
        host_uid=os.geteuid(),
        network="host",
        own_pids=False,
        no_new_privileges=status["NoNewPrivs"].strip() == "1",
        system_calls_filtered=status["Seccomp"].strip() == "2",
        capabilities=status["CapEff"].strip(),
        mounts=(),
    )
