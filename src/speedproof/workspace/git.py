"""Running git so that nothing but its arguments decides what it does: no user's, machine's or agent's settings."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from speedproof.errors import SourceError
from speedproof.workspace.index import without_login

_KEPT = {
    "PATH",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
}
_FIXED = {
    # With no home, ~/.config/git/attributes and ignore are out of reach as well.
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": str(Path(__file__).with_name("gitconfig")),
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1",
    "GIT_HTTP_LOW_SPEED_TIME": "60",
    "LC_ALL": "C",
    "TZ": "UTC",
}


class GitError(SourceError):
    """git refused; `code` is its exit status, `stderr` its own words."""

    def __init__(self, what: str, *, code: int, stderr: str) -> None:
        super().__init__(what)
        self.code = code
        self.stderr = stderr


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment git runs in: proxies and certificates are kept, every other setting is ours."""
    kept = {k: v for k, v in os.environ.items() if k.upper() in _KEPT}
    return {**kept, **_FIXED, **(extra or {})}


def git(
    *arguments: str,
    repository: Path | None = None,
    input: bytes | None = None,  # noqa: A002 - the word subprocess uses
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """Standard output of `git ARGUMENTS`, run on the git directory `repository` without looking for another.

    `env` is added to the clean environment (such as GIT_INDEX_FILE, GIT_WORK_TREE); `cwd` defaults to /, where
    there is no repository to be found. No hook, filter or prompt runs. Raises GitError with git's own words.
    """
    # On the command line too: a repository's own configuration outranks the file of ours.
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]
    if repository is not None:
        command.append(f"--git-dir={repository}")
    try:
        done = subprocess.run(
            [*command, *arguments],
            input=b"" if input is None else input,
            capture_output=True,
            env=git_environment(env),
            cwd=cwd or "/",
            check=False,
            start_new_session=True,  # Ctrl-C at a terminal reaches only us
        )
    except FileNotFoundError as error:
        raise SourceError("git is not installed", hint="install it, for instance `apt-get install git`") from error
    if done.returncode:
        words = without_login(done.stderr.decode(errors="replace").strip())
        raise GitError(f"git {' '.join(arguments[:3])} failed: {words[-2000:]}", code=done.returncode, stderr=words)
    return done.stdout
