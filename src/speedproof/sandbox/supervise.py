"""Runs without a sandbox, as the parent of all that an agent starts: nothing of it can run away, and all ends with it.

Whoever loses its parent becomes a child of this process, even in a session of its own. When the agent has ended, when
the harness asks by SIGTERM, and when the harness itself is gone, everything left is killed. How many outlived the
agent is written to DESCRIPTOR; then the agent's own exit code or signal is repeated.

usage: supervise.py DESCRIPTOR COMMAND...
"""

import ctypes
import os
import resource
import signal
import sys
import time

_DEATH_SIGNAL, _SUBREAPER = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, prctl(2)
_ENDING_S = 10.0
_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main() -> None:
    """Start the command, wait for its end, end the rest."""
    report, command = int(sys.argv[1]), sys.argv[2:]
    harness = os.getppid()
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    if os.getppid() != harness:
        sys.exit(1)  # it ended before it could be watched
    agent = os.fork()
    if agent == 0:
        os.close(report)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            sys.stderr.write(f"speedproof: cannot execute {command[0]}: {error.strerror}\n")
            sys.stderr.flush()
            os._exit(127)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):  # what the agent writes to must end with it
        os.dup2(nothing, descriptor)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - starts sooner without pathlib
        if int(name) > 2 and int(name) != report:
            _close(int(name))
    status = _reap(agent)
    while status is None and signal.sigwait(_WATCHED) == signal.SIGCHLD:
        status = _reap(agent)
    outlived = 0 if status is None else len(_descendants())
    deadline = time.monotonic() + _ENDING_S
    while (left := _descendants()) and time.monotonic() < deadline:
        for pid in left:
            _kill(pid)
        time.sleep(0.001)
        ended = _reap(agent)
        status = ended if status is None else status
    os.write(report, str(outlived).encode())
    _repeat(signal.SIGKILL if status is None else status)


def _reap(agent: int) -> int | None:
    """Reap whatever has ended; returns the agent's status if it is among them."""
    status = None
    while True:
        try:
            pid, of_it = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == agent:
            status = of_it


def _descendants() -> list[int]:
    """Living processes below this one."""
    found, pending = [], [os.getpid()]
    for pid in pending:
        for thread in _listed(f"/proc/{pid}/task"):
            pending += [int(child) for child in _read(f"/proc/{pid}/task/{thread}/children").split()]
    for pid in pending[1:]:
        state = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]
        if state and state[0] not in {"Z", "X"}:
            found.append(pid)
    return found


def _repeat(status: int) -> None:
    """End as the agent ended."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return  # the one that listed the folder


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it ended, or became somebody else's


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path) as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


main()
