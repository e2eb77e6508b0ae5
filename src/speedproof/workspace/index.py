"""The package index this machine is set up for. pip and uv do not read each other's settings; we read both."""

import os
import re
import shutil
import subprocess

from pypi_simple import PYPI_SIMPLE_ENDPOINT

_UV = ("UV_DEFAULT_INDEX", "UV_INDEX_URL")


def index_url() -> str:
    """Address of the index: uv's setting, or pip's, else PyPI."""
    for variable in (*_UV, "PIP_INDEX_URL"):
        if value := os.environ.get(variable):
            # uv allows a name before the address: name=https://…
            return re.sub(r"^[\w.-]+=(?=\w+://)", "", value)
    if pip := shutil.which("pip") or shutil.which("pip3"):
        answer = subprocess.run(
            [pip, "config", "get", "global.index-url"], capture_output=True, text=True, check=False, cwd="/"
        )
        if answer.returncode == 0 and (value := answer.stdout.strip()):
            return value
    return PYPI_SIMPLE_ENDPOINT


def uv_variables() -> dict[str, str]:
    """What uv must be told of pip's settings; empty where uv has its own, or there is nothing to tell."""
    if any(os.environ.get(variable) for variable in _UV) or index_url() == PYPI_SIMPLE_ENDPOINT:
        return {}
    return {"UV_DEFAULT_INDEX": index_url()}
