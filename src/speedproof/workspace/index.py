"""The package index this machine is set up for. pip and uv do not read each other's settings; we read both."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")


@cache
def _pip_index() -> str | None:
    pip = shutil.which("pip") or shutil.which("pip3")
    if pip is None:
        return None
    answer = subprocess.run(
        [pip, "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        start_new_session=True,
    )
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def index_url() -> str:
    """Address of the index: uv's setting, or pip's, else PyPI."""
    for variable in (*_UV, "PIP_INDEX_URL"):
        if value := os.environ.get(variable):
            # uv allows a name before the address: name=https://…
            return re.sub(r"^[\w.-]+=(?=\w+://)", "", value)
    return _pip_index() or _pypi()


def _pypi() -> str:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # takes longer to load than most commands do

    return PYPI_SIMPLE_ENDPOINT


def certificates() -> str | bool:
    """The certificate authorities to trust: the variables pip and requests read, else the system's, else requests' own.

    The system's come before requests' own because a machine behind a proxy has its authority there.
    """
    for variable in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        if value := os.environ.get(variable):
            return value
    return str(_SYSTEM) if _SYSTEM.is_file() else True


def uv_variables() -> dict[str, str]:
    """What uv must be told: to trust the system's authorities, and of pip's index where it has none of its own."""
    told = {"UV_SYSTEM_CERTS": "true"}
    if any(os.environ.get(variable) for variable in _UV) or index_url() == _pypi():
        return told
    return {**told, "UV_DEFAULT_INDEX": index_url()}


def without_login(text: str) -> str:
    """`text` with no name and password in the addresses it holds."""
    return re.sub(r"//[^/\s]+@", "//", text)
