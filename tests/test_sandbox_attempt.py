"""What an agent can see, reach, write and become: asked from inside a real attempt, with no mount or flag of ours."""

import ctypes
import json
import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from probe_agent import PYTHON, Attempted, ProbeAgent, Source, attempt, make_source, prepare, write_files
from speedproof.sandbox import Bubblewrap, Mount
from speedproof.sandbox.bubblewrap import SANDBOX_UID
from speedproof.workspace.cache import Cache

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
SECRET = "sk-live-4f1c2e9ab7"
PLANTED = "the-starters-own-diary-77120"
_KEYCTL_JOIN, _SESSION = 1, -3


@dataclass(frozen=True)
class Seen:
    """What the agent found, and the attempt it was in."""

    answer: dict[str, Any]
    attempted: Attempted
    source: Source

    def __getitem__(self, name: str) -> Any:
        return self.answer[name]


@pytest.fixture(scope="module")
def seen(cache: Cache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One attempt whose agent looks around, on a machine full of things that it must not find."""
    folder = tmp_path_factory.mktemp("seen")
    source = make_source(folder / "repository")
    prepared = prepare(source, cache)
    home, other = folder / "starter", cache.scratch("other")
    write_files(home, {".ssh/id_ed25519": PLANTED, ".aws/credentials": PLANTED})
    write_files(other, {"tree/workspace/solution.py": PLANTED})
    write_files(folder / "state", {"runs/20230101-000000-000000/items/x/01/patch.diff": PLANTED})
    tools = folder / "tools"
    tools.mkdir()
    shutil.copy(shutil.which("id") or "/usr/bin/id", tools / "id")
    (tools / "id").chmod(0o4755)
    paths = [home / ".ssh/id_ed25519", home, other / "tree/workspace/solution.py", cache.root, folder / "state"]
    paths += [Path(p) for p in ("/etc/shadow", "/etc/hostname", "/sys", "/var", "/run", "/boot")]
    with ExitStack() as stack:
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(folder / "agent.sock"))
        servers = [stack.enter_context(_listening(socket.AF_INET, ("127.0.0.1", 0)))]
        servers.append(stack.enter_context(_listening(socket.AF_INET, ("0.0.0.0", 0))))
        stack.enter_context(_listening(socket.AF_UNIX, f"\0speedproof-{os.getpid()}"))
        stack.enter_context(_listening(socket.AF_UNIX, str(folder / "agent.sock")))
        stack.callback(shutil.rmtree, other)
        asked = {
            "patterns": source.secrets,
            "planted": [SECRET, PLANTED],
            "expert": source.expert,
            "paths": [str(p) for p in paths],
            "interpreter": [str(p) for p in Path(sys.base_prefix).parents if p != Path("/")],
            "setuid": ["/opt/tools/id"],
            "tcp": [("127.0.0.1", servers[0].getsockname()[1]), (_own_address(), servers[1].getsockname()[1])],
            "abstract": f"\0speedproof-{os.getpid()}",
            "path": str(folder / "agent.sock"),
        }
        agent = ProbeAgent(
            python=(Path(__file__).parent / "look_around.py").read_text(),
            env={"ASKED": json.dumps(asked).encode().hex()},
            mounts=(Mount(tools, "/opt/tools"),),
        )
        # In a thread of its own, whose session keyring holds a key: processes inherit it from the thread.
        done: list[Attempted] = []

        def work() -> None:
            _keep_a_key()
            done.append(attempt(agent, prepared, Bubblewrap(), folder))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done and done[0].stdout, done[0].stderr if done else "the attempt failed"
    yield Seen(json.loads(done[0].stdout), done[0], source)


def _listening(family: int, address: Any) -> socket.socket:
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    return server


def _own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _keep_a_key() -> None:
    add_key, keyctl = (248, 250) if os.uname().machine == "x86_64" else (217, 219)
    libc = ctypes.CDLL(None)
    libc.syscall(keyctl, _KEYCTL_JOIN, None)
    libc.syscall(add_key, b"user", b"speedproof-test", SECRET.encode(), len(SECRET), _SESSION)


def test_the_repository_holds_the_base_as_its_only_commit(seen: Seen) -> None:
    git = seen["git"]
    base = git["commits"].split()
    assert len(base) == 1 and base[0] not in {seen.source.base, seen.source.expert}
    assert git["refs"].split() == ["refs/heads/main", base[0]]
    assert (git["remotes"], git["stash"], git["hooks"], git["alternates"]) == ("", "", "", False)
    assert git["reflog"] == ""
    assert "unreachable" not in git["unreachable"] and "dangling" not in git["unreachable"]
    assert git["objects"] == git["reachable"]
    assert "remote" not in git["config"] and "url" not in git["config"]
    assert git["status"] == ""


def test_no_object_id_or_added_line_of_the_expert_can_be_found(seen: Seen) -> None:
    assert seen["git"]["expert"] != 0
    assert seen["git"]["found"] == []
    assert seen["files"]["found"] == []
    assert seen["files"]["named"] == []
    text = json.dumps([seen["env"], seen["files"]["processes"], seen["git"]["config"]])
    assert not [p for p in seen.source.secrets if p in text]


def test_there_is_no_route_to_the_network_or_to_the_hosts_loopback(seen: Seen) -> None:
    network = seen["network"]
    assert network["interfaces"] == ["lo"]
    assert network["routes"] == []
    assert all(network["host"]), "a server of the host answered"
    assert network["abstract"] and network["path"]
    assert network["unix"] == []
    assert network["udp"] and network["names"] and network["raw"]


def test_only_the_gateways_port_answers(seen: Seen) -> None:
    assert seen["network"]["gateway"] == 401, "the gateway answers, and refuses who does not give the attempt's key"
    assert seen["network"]["listening"] == [8765]


def test_no_file_outside_the_allow_list_can_be_read(seen: Seen) -> None:
    files = seen["files"]
    assert files["readable"] == []
    assert files["beside"] == [], "of the folders above the interpreter nothing else is shown"
    assert set(files["top"]) <= {
        "bin",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "opt",
        "proc",
        "sbin",
        "tmp",
        "usr",
        "workspace",
    } | {Path(sys.base_prefix).parts[1]}
    assert files["packages"].strip() in {"", "/usr/lib/python3/dist-packages:"}


def test_no_secret_of_the_starters_environment_is_inside(seen: Seen) -> None:
    assert SECRET not in json.dumps(seen.answer)
    assert "SSH_AUTH_SOCK" not in seen["env"]
    assert seen["env"]["HOME"] == "/home/agent"
    assert set(seen["env"]) <= {
        "HOME", "LANG", "LC_CTYPE", "TMPDIR", "USER", "SHELL", "PATH", "PYTHONPATH", "PWD", "SHLVL", "_",
        "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL",
    }  # fmt: skip
    assert SECRET not in seen["files"]["environments"]


def test_other_processes_cannot_be_seen(seen: Seen) -> None:
    processes = seen["files"]["processes"]
    assert len(processes) <= 3, processes
    assert {Path(command[0]).name for command in processes.values()} <= {"bwrap", Path(PYTHON).name}
    if os.geteuid() == 0:
        assert seen["powers"]["first"] == "PermissionError"


def test_the_agent_is_nobody_and_stays_it(seen: Seen) -> None:
    powers = seen["powers"]
    assert powers["ids"][:4] == [SANDBOX_UID] * 4
    assert set(powers["ids"][4]) <= {SANDBOX_UID, 65534}
    assert set(powers["capabilities"].values()) == {0}
    assert powers["no_new_privileges"] == "1"
    assert powers["setuid"] == {"/opt/tools/id": f"{SANDBOX_UID}\n"}
    assert powers["become_root"] in {"PermissionError", "OSError"}  # the user is not there to become


def test_nothing_can_be_mounted_not_even_in_a_namespace_of_ones_own(seen: Seen) -> None:
    powers = seen["powers"]
    assert powers["mount"] == 1
    assert "mounted" not in powers["mount_in_namespace"].split()
    assert powers["namespaces"] == [1, 1, 1]
    assert powers["nodes"] == "PermissionError"


def test_the_starters_kernel_keyring_is_out_of_reach(seen: Seen) -> None:
    assert seen["powers"]["keyrings"] == [1, 1]


def test_there_is_neither_a_terminal_nor_an_inherited_descriptor(seen: Seen) -> None:
    powers = seen["powers"]
    assert powers["terminal"] == "OSError"
    assert set(powers["descriptors"]) <= {"0", "1", "2"}
    own = powers["kernel"].pop("/proc/1/mem")  # the sandbox's first process: an ordinary user's own, not root's
    assert own == "PermissionError" or os.geteuid() != 0
    assert all(powers["kernel"].values())
    assert not {"kvm", "fuse", "vda", "sda", "mem", "kmsg", "net"} & set(powers["devices"])
    assert powers["hostname"] == "sandbox"


def test_only_workspace_home_and_temporary_folders_can_be_written(seen: Seen) -> None:
    assert sorted(seen["files"]["writable"]) == ["/dev/shm", "/home/agent", "/tmp", "/workspace"]


def test_what_was_enforced_is_in_the_record(seen: Seen) -> None:
    facts = seen.attempted.facts.sandbox
    assert facts is not None
    assert facts.kind == "bubblewrap" and facts.version
    assert facts.host_uid == (SANDBOX_UID if os.geteuid() == 0 else os.geteuid())
    assert facts.network == "none" and facts.own_pids and facts.no_new_privileges
    assert facts.system_calls_filtered is (os.uname().machine in {"x86_64", "aarch64"})
    assert int(facts.capabilities, 16) == 0
    assert {"/ ro", "/tmp rw", "/workspace rw", "/home/agent rw", "/opt/tools ro"} <= set(facts.mounts)
    assert seen.attempted.facts.patch is not None and seen.attempted.facts.patch.size == 0
