"""The system-call filter, executed here as the kernel would, for machines this one is not."""

import struct

import pytest

from speedproof.sandbox.seccomp import filter_program

ALLOWED, REFUSED, UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026
MACHINES = {
    "x86_64": (0xC000003E, {"read": 0, "clone": 56, "add_key": 248, "request_key": 249, "keyctl": 250}),
    "aarch64": (0xC00000B7, {"read": 63, "clone": 220, "add_key": 217, "request_key": 218, "keyctl": 219}),
}
NAMESPACES = {"x86_64": (272, 308), "aarch64": (97, 268)}
CLONE3, NEW_USER = 435, 0x10000000


def answer(machine: str, call: int, argument: int = 0, architecture: int | None = None) -> int:
    """What the filter says to a system call with this first argument."""
    program = filter_program(machine)
    assert program is not None
    steps = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    data = struct.pack("<IIQQ", call, MACHINES[machine][0] if architecture is None else architecture, 0, argument)
    value = at = 0
    while True:
        operation, if_true, if_false, operand = steps[at]
        at += 1
        match operation:
            case 0x20:
                value = struct.unpack_from("<I", data, operand)[0]
            case 0x15:
                at += if_true if value == operand else if_false
            case 0x35:
                at += if_true if value >= operand else if_false
            case 0x45:
                at += if_true if value & operand else if_false
            case 0x06:
                return operand


@pytest.mark.parametrize("machine", MACHINES)
def test_keyrings_and_namespaces_are_refused_and_nothing_else(machine: str) -> None:
    calls = MACHINES[machine][1]
    refused = {calls["add_key"], calls["request_key"], calls["keyctl"], *NAMESPACES[machine]}
    for call in range(1000):
        expected = UNKNOWN if call == CLONE3 else REFUSED if call in refused else ALLOWED
        assert answer(machine, call) == expected, call
    assert answer(machine, calls["clone"], 0x1200011) == ALLOWED
    assert answer(machine, calls["clone"], 0x1200011 | NEW_USER) == REFUSED
    assert answer(machine, calls["read"], NEW_USER) == ALLOWED


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_abi_cannot_go_around_it(machine: str) -> None:
    assert answer(machine, MACHINES[machine][1]["read"], architecture=0x40000003) == REFUSED
    assert answer(machine, 0x40000000 + 250) == REFUSED


def test_an_unknown_machine_has_no_filter() -> None:
    assert filter_program("riscv64") is None
