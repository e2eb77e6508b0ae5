"""The command line as a person uses it: a process of its own, with a cache, and a state folder, of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from speedproof.cli import app

PROGRAM = (sys.executable, "-c", "from speedproof.cli import main; main()")
WITH_SHELL_AGENT = (sys.executable, str(Path(__file__).parent / "shell_agent.py"))


def environment(cache: Path, **more: str) -> dict[str, str]:
    """Our own environment with this cache and nobody's keys."""
    own = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    return {**own, "SPEEDPROOF_CACHE": str(cache), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **more}


def run(
    *words: object, cwd: Path, cache: Path, program: tuple[str, ...] = PROGRAM, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*program, *map(str, words)],
        cwd=cwd,
        env=environment(cache, **env),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=280,
        check=False,
    )


def call(*words: object, cwd: Path, cache: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which saves the start of another."""
    out, err = StringIO(), StringIO()
    code: Any = 0
    argv = ["speedproof", *map(str, words)]
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        patch.dict(os.environ, environment(cache, **env), clear=True),
        patch.object(sys, "argv", argv),
        patch.object(app, "keep_mounts_to_ourselves", lambda: True),
    ):
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


class Running:
    """A command under way in a session of its own; `wait_for` follows what it says on stderr."""

    def __init__(
        self, *words: object, cwd: Path, cache: Path, program: tuple[str, ...] = PROGRAM, env: Mapping[str, str] = {}
    ) -> None:
        self.process = subprocess.Popen(
            [*program, *map(str, words)],
            cwd=cwd,
            env=environment(cache, **env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def wait_for(self, what: str) -> None:
        """Read stderr until a line holds `what`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if what in line:
                return
        self.process.communicate()
        raise AssertionError(f"it ended (code {self.process.returncode}) without saying {what!r}: {self.said}")

    def end(self, number: signal.Signals) -> int:
        """Send a signal, then wait for the end; the exit code."""
        self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=60)
        self.said += rest
        return self.process.returncode

    def kill_after(self, seconds: float) -> None:
        """Kill it, and it alone, after so many seconds, unless it has ended."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        _, rest = self.process.communicate(timeout=60)
        self.said += rest
        timer.cancel()
        timer.join()


def read_json(text: str) -> Any:
    """JSON, with what else was printed shown where it is none."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise AssertionError(f"no JSON: {text[:2000]}") from error
