"""What adapters of installed programs share: where they stand inside, and what a program says of its version."""

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from speedproof.errors import AgentError
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import build_environment, find_interpreter

INSIDE = "/opt/agent"
"""Where an agent's installation is seen inside the sandbox."""


def pinned(agent: str) -> list[str]:
    """An agent and everything it needs, pinned: the lines of requirements/AGENT.txt."""
    listing = resources.files("speedproof.agents").joinpath(f"requirements/{agent}.txt").read_text(encoding="utf-8")
    return [line for line in listing.splitlines() if line and not line.startswith("#")]


def python_agent(
    agent: str, path: Path | None, requirements: Sequence[str], python: str | None, cache: Cache, progress: Progress
) -> tuple[Path, Path]:
    """The environment of an agent written in Python, and the base prefix of its interpreter: the one at `path`, else
    one built from `requirements`. Raises AgentError, EnvironmentFailed."""
    if path is None:
        built = build_environment(requirements, python, cache, progress)
        return built.folder, built.prefix
    interpreter = path / "bin" / "python"
    if not interpreter.is_file():
        raise AgentError(
            "no Python environment (no bin/python)", file=path, hint=f"--agent-path {agent}=FOLDER of its environment"
        )
    return path.resolve(), find_interpreter(str(interpreter)).prefix


def reported_version(
    agent: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None, timeout_s: float = 60
) -> str:
    """The first thing that looks like a version in what the program prints, run with nothing of our environment.

    Raises AgentError when it does not start, fails, or prints no version.
    """
    with tempfile.TemporaryDirectory(prefix="speedproof-") as home:
        bare = {"PATH": "/usr/bin:/bin", "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", **(env or {})}
        try:
            answer = subprocess.run(
                [str(word) for word in argv],
                env=bare,
                cwd=home,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AgentError(f"{agent} does not start: {error}", file=str(argv[0])) from error
    found = re.search(r"\d+(?:\.\w+)+\S*", answer.stdout)
    if answer.returncode or found is None:
        words = (answer.stderr.strip() or answer.stdout.strip()).splitlines()[-1:]
        raise AgentError(
            f"{agent} does not say its version (exit code {answer.returncode}): {' '.join(words) or 'no output'}",
            file=str(argv[0]),
            hint="remove its environment from the cache and try again",
        )
    return found.group()


def yaml_text(value: object) -> str:
    """`value` as YAML that every parser reads alike, a member a line: JSON with all but plain ASCII escaped the YAML
    way."""
    plain = json.dumps(value, ensure_ascii=False, indent=1)
    return re.sub(r"[^\x20-\x7e\n]", lambda m: f"\\U{ord(m.group()):08x}", plain) + "\n"
