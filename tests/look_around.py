"""Runs inside the sandbox, in an agent's place: tries to find, reach, write and gain all it can; prints JSON.

Patterns to look for come on the command line, encoded, so that nobody finds them in this process or in this file.
"""
# The plainest calls, and errors as the kernel gives them:
# ruff: noqa: PTH108, PTH110, PTH115, PTH118, PTH123, PTH208, SIM115

import ctypes
import json
import os
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request

ASKED = json.loads(bytes.fromhex(os.environ.pop("ASKED")))
LIBC = ctypes.CDLL(None, use_errno=True)


def shell(command, stdin=None):
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, input=stdin, errors="replace")
    return done.stdout + done.stderr


def refused(call, *arguments):
    """The name of the error that a call ends with; null when it works."""
    try:
        call(*arguments)
    except OSError as error:
        return type(error).__name__
    return None


def system_call(number, *arguments):
    """0, or the error's number."""
    ctypes.set_errno(0)
    return 0 if LIBC.syscall(number, *arguments) >= 0 else ctypes.get_errno()


def connect(family, address):
    with socket.socket(family) as client:
        client.settimeout(3)
        client.connect(address)


def writable():
    """Every folder in which a file can be made, outermost first."""
    found = []
    for folder, names, _ in os.walk("/"):
        if folder == "/":
            names.remove("proc")
        if os.path.realpath(folder) != folder:
            names[:] = []
            continue
        probe = os.path.join(folder, ".probe")
        try:
            with open(probe, "x"):
                pass
            os.unlink(probe)
        except OSError:
            continue
        found.append(folder)
        names[:] = []
    return found


def git():
    repository = {
        "commits": shell("git rev-list --all --reflog"),
        "refs": shell("git for-each-ref --format='%(refname) %(objectname)'"),
        "remotes": shell("git remote -v"),
        "reflog": shell("git reflog --all; find .git/logs 2>/dev/null"),
        "stash": shell("git stash list"),
        "unreachable": shell("git fsck --full --unreachable --no-reflogs --lost-found"),
        "objects": len(shell("git cat-file --batch-all-objects --batch-check").splitlines()),
        "reachable": len(shell("git rev-list --objects --all").splitlines()),
        "alternates": os.path.exists(".git/objects/info/alternates"),
        "config": open(".git/config").read(),
        "status": shell("git status --porcelain --ignored"),
        "hooks": shell("ls .git/hooks 2>/dev/null"),
        "expert": subprocess.run(["git", "cat-file", "-e", ASKED["expert"]], capture_output=True).returncode,
        "contents": shell("git cat-file --batch --batch-all-objects"),
    }
    repository["found"] = [p for p in ASKED["patterns"] if p in repository["contents"]]
    del repository["contents"]
    return repository


def gateway():
    try:
        with urllib.request.urlopen("http://127.0.0.1:8765/v1/models", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def network():
    return {
        "gateway": gateway(),
        "listening": sorted(
            {int(line.split()[1].split(":")[1], 16) for line in open("/proc/net/tcp").readlines()[1:] if " 0A " in line}
        ),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "routes": open("/proc/net/route").read().splitlines()[1:],
        "host": [refused(connect, socket.AF_INET, (address, port)) for address, port in ASKED["tcp"]],
        "abstract": refused(connect, socket.AF_UNIX, ASKED["abstract"]),
        "path": refused(connect, socket.AF_UNIX, ASKED["path"]),
        "udp": refused(socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto, b"x", ("8.8.8.8", 53)),
        "names": refused(socket.getaddrinfo, "example.org", 443),
        "raw": refused(socket.socket, socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        "unix": [line for line in open("/proc/net/unix").read().splitlines()[1:] if "@" in line],
    }


def powers():
    x86 = os.uname().machine == "x86_64"
    number = {"keyctl": 250, "add_key": 248, "mount": 165, "ptrace": 101, "setns": 308, "unshare": 272}
    if not x86:
        number = {"keyctl": 219, "add_key": 217, "mount": 40, "ptrace": 117, "setns": 268, "unshare": 97}
    status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines())
    return {
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups()],
        "capabilities": {k: int(v, 16) for k, v in status.items() if k.startswith("Cap")},
        "no_new_privileges": status["NoNewPrivs"],
        "setuid": {p: subprocess.run([p, "-u"], capture_output=True, text=True).stdout for p in ASKED["setuid"]},
        "become_root": refused(os.setuid, 0),
        "mount": system_call(number["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
        "mount_in_namespace": shell("unshare --user --map-root-user --mount mount -t tmpfs none /tmp && echo mounted"),
        "namespaces": [system_call(number["unshare"], flag) for flag in (0x10000000, 0x20000, 0x40000000)],
        "keyrings": [
            system_call(number["keyctl"], 10, -3, b"user", b"speedproof-test", 0),
            system_call(number["add_key"], b"user", b"x", b"y", 1, -2),
        ],
        "nodes": refused(os.mknod, "/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0)),
        "terminal": refused(os.open, "/dev/tty", os.O_RDWR),
        "descriptors": {
            n: os.readlink(f"/proc/self/fd/{n}")
            for n in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{n}")
        },
        "kernel": {
            p: refused(open, p, "w") for p in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/mem")
        },
        "first": refused(open, "/proc/1/environ"),
        "devices": sorted(os.listdir("/dev")),
        "hostname": socket.gethostname(),
    }


def files():
    patterns = "".join(f"{p}\n" for p in ASKED["patterns"] + ASKED["planted"])
    return {
        "top": sorted(os.listdir("/")),
        "found": shell(
            "LC_ALL=C grep -rlsaF -D skip --exclude-dir=proc -f - / 2>/dev/null", stdin=patterns
        ).splitlines(),
        "named": [
            p
            for p in shell("find / -path /proc -prune -o -print 2>/dev/null").splitlines()
            if any(a in p for a in ASKED["patterns"])
        ],
        "readable": [p for p in ASKED["paths"] if refused(open, p, "rb") is None or refused(os.listdir, p) is None],
        "processes": {n: open(f"/proc/{n}/cmdline").read().split("\0") for n in os.listdir("/proc") if n.isdigit()},
        "beside": [p for p in ASKED["interpreter"] if len(os.listdir(p)) > 1],
        "environments": "".join(
            open(f"/proc/{n}/environ", errors="replace").read()
            for n in os.listdir("/proc")
            if n.isdigit() and os.access(f"/proc/{n}/environ", os.R_OK) and refused(open, f"/proc/{n}/environ") is None
        ),
        "writable": writable(),
        "packages": shell("ls -A /usr/lib/python3*/dist-packages /usr/local 2>/dev/null"),
    }


os.chdir("/workspace")
answer = {"env": dict(os.environ), "git": git(), "network": network(), "powers": powers(), "files": files()}
json.dump(answer, sys.stdout)
