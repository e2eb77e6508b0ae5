"""Whether the sandbox really encloses: a program inside tries what must fail, and whatever succeeds is named."""

import json
import socket
import sys
from pathlib import Path

from speedproof.errors import SandboxError
from speedproof.evaluation.running import run_command
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import WORKSPACE
from speedproof.tasks.models import Limits
from speedproof.workspace.cache import Cache
from speedproof.workspace.tree import remove

_TIMEOUT_S = 60.0
_HELD: set[type[Sandbox]] = set()
"""Kinds of sandbox that this process has found to hold."""
_MOST_PROCESSES = 10
_SEEN = "speedproof-outside"
_OUTSIDE = ("/", "/usr", "/usr/bin", "/etc", "/opt", "/home", "/dev", WORKSPACE)
"""Folders that nobody inside may write to; the workspace is mounted read-only for this."""
_TRIES = f"""
import ctypes, json, os, socket, sys, time

port, secret = int(sys.argv[1]), sys.argv[2]
done = []

def tries(what, act):
    try:
        act()
    except (OSError, PermissionError):
        return
    done.append(what)

def connect(address):
    with socket.socket() as s:
        s.settimeout(2)
        s.connect(address)

def send():
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.connect(("198.51.100.1", 9))
        s.send(b"x")

def mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "mount")

tries("reached the host's loopback", lambda: connect(("127.0.0.1", port)))
tries("reached the network", send)
for folder in {_OUTSIDE!r}:
    tries(f"wrote to {{folder}}", lambda: open(os.path.join(folder, "speedproof-probe"), "x").close())
tries("read a file of the host", lambda: open(secret).close())
tries("became root", lambda: os.setuid(0))
tries("mounted a file system", mounts)
seen = [p for p in os.listdir("/proc") if p.isdigit()]
if len(seen) > {_MOST_PROCESSES}:
    done.append(f"saw {{len(seen)}} processes")
print(json.dumps({{"{_SEEN}": done}}))
"""


def require_enforced(sandbox: Sandbox, cache: Cache) -> str:
    """Try from inside what must fail; what was tried, in one sentence. Raises SandboxError naming what succeeded.

    Without a sandbox nothing is tried, since nothing is enforced. A process tries each kind of sandbox once.
    """
    if sandbox.kind == "none":
        return "none: agents run as you, with all you can reach"
    if type(sandbox) not in _HELD:
        _try(sandbox, cache)
        _HELD.add(type(sandbox))
    return f"tried from inside, in vain: the network, {len(_OUTSIDE)} folders, the host's files and processes, root"


def _try(sandbox: Sandbox, cache: Cache) -> None:
    folder = cache.scratch("enforced")
    try:
        secret, tree = folder / "secret", folder / "tree"
        secret.write_text("of the host\n")
        tree.mkdir()
        tree.chmod(0o777)
        prefix = Path(sys.base_prefix)
        python = str(prefix / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
        with socket.create_server(("127.0.0.1", 0)) as server:
            argv = (python, "-I", "-S", "-c", _TRIES, str(server.getsockname()[1]), str(secret))
            box = Box(argv=argv, cwd="/", mounts=(Mount(tree, WORKSPACE),), interpreters=(prefix,))
            done = run_command(sandbox, box, _TIMEOUT_S, Limits())
    finally:
        remove(folder)
    try:
        through = json.loads(done.tail(1))[_SEEN]
    except (ValueError, LookupError, TypeError):
        raise SandboxError(
            f"the probe inside the sandbox {done.how} and said: {done.tail(5) or 'nothing'}", hint="speedproof doctor"
        ) from None
    if through:
        raise SandboxError(
            f"the sandbox does not hold: a program inside {', '.join(map(str, through))}",
            hint="do not run agents here; report this with the version of bubblewrap and of the kernel",
        )
