"""Where keys come from: the process's environment, and a `.env` file."""

import io
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv.parser import parse_stream

from speedproof.errors import InputError

DEFAULT_FILE = Path(".env")


def environment(
    env_file: Path | None, environ: Mapping[str, str], told: Callable[[str], None] = lambda _: None
) -> dict[str, str]:
    """`environ`, and beneath it what `env_file` sets; without a name, `.env` in the current folder where there is one.

    Values are taken as they stand: nothing in them is expanded. `told` hears when others may read the file. Raises
    InputError, without showing a value, for a file that is missing or broken.
    """
    if env_file is None and not DEFAULT_FILE.is_file():
        return dict(environ)
    file = env_file or DEFAULT_FILE
    return _read(file, told) | dict(environ)


def key_in(environ: Mapping[str, str], variable: str) -> str | None:
    """The key in a variable; null when it is not set. Raises InputError, without showing it, for what is no key."""
    key = environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(f"the key in {variable} holds characters no key has", hint=f"export {variable} again")
    return key or None


def _read(file: Path, told: Callable[[str], None]) -> dict[str, str]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        mode = file.stat().st_mode
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, hint="--env-file FILE") from error
    except UnicodeDecodeError:
        raise InputError("is no UTF-8 text", file=file) from None
    if mode & stat.S_IROTH:
        told(f"{file}: everyone on this machine can read the keys in it (chmod 600 {file})")
    found: dict[str, str] = {}
    for line in parse_stream(io.StringIO(text)):
        if line.error or (line.key is not None and line.value is None):
            start = line.original.string
            blank = len(start) - len(start.lstrip("\n\r \t"))
            at = line.original.line + start[:blank].count("\n")
            raise InputError(
                "this line is not NAME=VALUE", file=file, line=at, hint="OPENAI_API_KEY=…, a line for each key"
            )
        if line.key is not None and line.value is not None:
            found[line.key] = line.value
    return found
