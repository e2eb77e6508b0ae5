"""Python environments built once with uv, cached by content, mounted read-only."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uv

from speedproof.errors import EnvironmentFailed
from speedproof.journal.base import digest_of
from speedproof.workspace.cache import Cache, Progress, silent
from speedproof.workspace.index import uv_variables

_FACTS = (
    "import sys, json; print(json.dumps([sys.base_prefix, '%d.%d.%d' % sys.version_info[:3], sys.implementation.name]))"
)


@dataclass(frozen=True)
class Interpreter:
    """A Python as found on this machine."""

    executable: Path
    prefix: Path
    version: str


@dataclass(frozen=True)
class BuiltEnvironment:
    """A built environment; its scripts work wherever it is mounted."""

    folder: Path
    digest: str
    prefix: Path
    """Base prefix of its interpreter, which must be mounted at the same path."""
    version: str
    """Full version of its Python."""


def find_interpreter(python: str | None) -> Interpreter:
    """The interpreter of this version (such as 3.11), this path, or, for null, the one that runs Speedproof.

    Looks where uv looks, then among pyenv's versions, which uv does not see. Raises EnvironmentFailed.
    """
    if python is None:
        candidates = [Path(sys.prefix) / "bin" / "python"]
    elif "/" in python:
        candidates = [Path(python)]
    else:
        found = run_uv("python", "find", "--no-project", "--system", "--no-python-downloads", python)
        candidates = [Path(found.stdout.strip())] if found.returncode == 0 else []
        candidates += _in_pyenv(python)
    for candidate in candidates:
        if not candidate.is_file():
            continue
        answer = subprocess.run(
            [candidate, "-I", "-c", _FACTS], capture_output=True, text=True, check=False, start_new_session=True
        )
        if answer.returncode == 0:
            prefix, version, _ = json.loads(answer.stdout)
            return Interpreter(candidate, Path(prefix), version)
    raise EnvironmentFailed(
        f"no Python {python} on this machine",
        hint=f"install it (`uv python install {python}`) or name its path",
    )


def _in_pyenv(version: str) -> list[Path]:
    root = os.environ.get("PYENV_ROOT")
    try:
        versions = Path(root or Path.home() / ".pyenv") / "versions"
    except RuntimeError:
        return []  # who has no home has no pyenv in it
    return sorted(versions.glob(f"{version}*/bin/python"))


def build_environment(
    requirements: Sequence[str], python: str | None, cache: Cache, progress: Progress = silent
) -> BuiltEnvironment:
    """An environment with these requirements. Raises EnvironmentFailed with uv's own words when it cannot be built."""
    interpreter = find_interpreter(python)
    digest = digest_of(["environment/1", list(requirements), interpreter.version, str(interpreter.prefix)], 32)

    def make(folder: Path) -> None:
        progress(f"building an environment: Python {interpreter.version}, {len(requirements)} requirements")
        _checked(
            requirements,
            "venv",
            "--relocatable",
            "--no-project",
            "--python",
            str(interpreter.executable),
            str(folder / "venv"),
        )
        if requirements:
            listing = folder / "requirements.txt"
            listing.write_text("".join(f"{r}\n" for r in requirements))
            _checked(
                requirements,
                "pip",
                "install",
                "--compile-bytecode",
                "--link-mode",
                "copy",
                "--python",
                str(folder / "venv/bin/python"),
                "-r",
                str(listing),
            )

    entry = cache.entry("environments", digest, make)
    return BuiltEnvironment(entry / "venv", digest, interpreter.prefix, interpreter.version)


def run_uv(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """uv with this machine's index and certificates; how it ended is for the caller to read."""
    inherited = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    environment = {**inherited, **uv_variables()}
    return subprocess.run(
        [uv.find_uv_bin(), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
        cwd=cwd,
        start_new_session=True,
    )


def _checked(requirements: Sequence[str], *arguments: str) -> None:
    done = run_uv("--no-progress", *arguments)
    if done.returncode:
        words = "\n".join(done.stderr.strip().splitlines()[-12:])
        raise EnvironmentFailed(
            f"uv {arguments[0]} failed for {', '.join(requirements) or 'an empty environment'}:\n{words}",
            hint="check the requirements and the package index",
        )
