"""A system-call filter: no kernel keyrings, which know no namespaces, and no namespaces inside namespaces.

The caller's session keyring is inherited by every process it starts, whatever user that becomes. A new user namespace
gives its maker every capability in it, and with that most of the kernel to play with.
"""

import os
import platform
import struct

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF, linux/filter.h
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data, on little-endian machines
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026  # SECCOMP_RET_ALLOW; _ERRNO with EPERM, ENOSYS
_NEW_USER = 0x10000000  # CLONE_NEWUSER
_FOREIGN = 0x40000000  # bit of the calls of x86-64's other ABI (x32)

_CALLS = {
    "x86_64": (0xC000003E, {"clone": 56, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272}),
    "aarch64": (0xC00000B7, {"clone": 220, "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97}),
}
_SETNS = {"x86_64": 308, "aarch64": 268}
_SET_AFFINITY = {"x86_64": 203, "aarch64": 122}
_CLONE3 = 435  # its flags lie in memory, where no filter can look; the C library then falls back to clone


def open_filter(*, pinned: bool = False) -> int | None:
    """A new descriptor of the filter's program for this machine; null on an architecture it is not written for."""
    program = filter_program(platform.machine(), pinned=pinned)
    if program is None:
        return None
    descriptor = os.memfd_create("filter")
    os.write(descriptor, program)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def filter_program(machine: str, *, pinned: bool = False) -> bytes | None:
    """The filter as BPF instructions; null for an unknown machine. Where `pinned`, the CPU cannot be changed."""
    if machine not in _CALLS:
        return None
    architecture, calls = _CALLS[machine]
    refused = [calls[name] for name in ("add_key", "request_key", "keyctl", "unshare")] + [_SETNS[machine]]
    refused += [_SET_AFFINITY[machine]] if pinned else []
    # Jumps count the instructions to skip. The program ends with: allow, refuse, not implemented.
    checks = len(refused)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, checks + 7, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, checks + 5, 0, _FOREIGN),
        (_JUMP_EQUAL, checks + 5, 0, _CLONE3),
        *((_JUMP_EQUAL, checks + 3 - i, 0, number) for i, number in enumerate(refused)),
        (_JUMP_EQUAL, 0, 2, calls["clone"]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_SET, 1, 0, _NEW_USER),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)
