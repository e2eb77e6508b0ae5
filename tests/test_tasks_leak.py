"""The answer within an agent's reach: found wherever it may stand, and no task is stopped by a common idiom."""

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from probe_agent import EXPERT, ProbeAgent, Source, attempt, make_source, prepare
from speedproof.errors import LeakError, RecordError
from speedproof.evaluation.prepared import PreparedTask
from speedproof.execution.preflight import Ready, refuse_leaks, require_no_leak
from speedproof.journal.failure import FailureClass
from speedproof.sandbox import Bubblewrap, HostSandbox, Mount
from speedproof.tasks.leak import Answer, Root, answer_of, scan_environment, scan_roots, scan_text
from speedproof.tasks.models import PypiPair, PypiRelease, PypiSource, Task
from speedproof.tasks.source import fetch
from speedproof.workspace.cache import Cache, silent
from speedproof.workspace.environment import build_environment

ID = "8869368337a5b1d7f6c9e4b0a2d3c5e7f9011223"
LINES = (
    "freed_blocks = self._evictor.take_all_at_once()",
    "heapq.heappush(self._queue_of_candidates, entry)",
    "if candidate.last_accessed != entry.last_accessed:",
    "return self._lowest_remaining_candidate(now)",
    "self._queue_of_candidates = rebuilt_without_dead",
)
ANSWER = Answer((ID,), LINES)
THREE = "".join(f"    {line}\n" for line in LINES[:3])


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return make_source(tmp_path_factory.mktemp("source") / "repository")


@pytest.fixture(scope="module")
def prepared(source: Source, cache: Cache) -> PreparedTask:
    return prepare(source, cache)


def found(folder: Path, answer: Answer = ANSWER, masked: tuple[str, ...] = ()) -> list[str]:
    """Places of leaks below a folder, scanned for the first time."""
    cache = Cache(folder.parent / f"{folder.name}-cache")
    leaks = scan_roots(answer, [Root(folder, "1", masked)], cache)
    return sorted({leak.place.removeprefix(f"{folder}/") for leak in leaks})


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    folder = tmp_path / "mounted"
    (folder / "package/inner").mkdir(parents=True)
    (folder / "package/__init__.py").write_text("import os\n")
    return folder


# --- what the answer is --------------------------------------------------------------------------------------------


def test_the_answer_is_what_the_expert_added_and_nobody_else_has(source: Source, prepared: PreparedTask) -> None:
    assert prepared.answer.commits == (source.expert,)
    assert set(prepared.answer.lines) == {
        "from itertools import accumulate as _running_total_of",
        "remembered_partial_sums = list(_running_total_of(numbers))",
        "if not remembered_partial_sums: return 0",
        "return remembered_partial_sums[-1]",
    }
    assert "def total(numbers):" in EXPERT["pkg/slow.py"], "it stands in base too"


def test_idioms_of_pythons_own_library_and_short_lines_are_no_answer(cache: Cache, tmp_path: Path) -> None:
    from workspace_support import plain, write_repository

    expert = (
        "from collections import defaultdict\nimport functools\n@_functools.wraps(func)\n"
        "x = 1\n# ---------------------------\nif __name__ == '__main__':\n    raise NotImplementedError\n"
        "a_line_that_is_nobody_elses = functools.cache(a_function)\n"
    )
    repository, base = write_repository(tmp_path / "r.git", {b"a.py": plain("import functools\n")})
    (repository / "scratch.index").unlink()
    _, after = write_repository(repository, {b"a.py": plain(expert)})
    assert answer_of(repository, base, after, ()).lines == (
        "a_line_that_is_nobody_elses = functools.cache(a_function)",
    )


# --- what the agent is told ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [f"See commit {ID}.", f"see {ID[:8]}", f"({ID[:7].upper()})", f"Do:\n  {LINES[3]}\n", f"x{LINES[0]}y"],
)
def test_one_line_or_a_shortened_commit_id_is_a_leak_in_the_prompt(text: str) -> None:
    (leak,) = scan_text(ANSWER, "the prompt", text)
    assert leak.place == "the prompt"


@pytest.mark.parametrize("text", ["Make the evictor faster.", ID[:6], ID[1:20], "0" + ID, "return self._lowest", ""])
def test_a_prompt_without_them_is_clean(text: str) -> None:
    assert scan_text(ANSWER, "the prompt", text) == []


def test_a_leak_in_an_environment_variable_is_named() -> None:
    leaks = scan_environment(ANSWER, {"PATH": "/usr/bin", "UPSTREAM": f"https://example.org/commit/{ID}"})
    assert [leak.place for leak in leaks] == ["environment UPSTREAM"]


# --- what is mounted -----------------------------------------------------------------------------------------------


def test_several_lines_of_the_answer_together_are_found_in_an_installed_file(mounted: Path) -> None:
    (mounted / "package/inner/evictor.py").write_text(f"class A:\n{THREE}")
    assert found(mounted) == ["package/inner/evictor.py"]


def test_indents_line_ends_and_encodings_do_not_hide_them(mounted: Path) -> None:
    (mounted / "package/a.txt").write_bytes(b"\xff\0binary\n" + THREE.replace("\n", "\r\n").encode())
    assert found(mounted) == ["package/a.txt"]


def test_one_or_two_lines_that_others_write_too_are_no_leak(mounted: Path) -> None:
    (mounted / "package/a.py").write_text(f"{LINES[0]}\n{LINES[1]}\n")
    (mounted / "package/b.py").write_text(f"{LINES[2]}\n")
    (mounted / "package/c.py").write_text(f"# {LINES[0]}\n# {LINES[1]}\n# {LINES[2]}\n")
    assert found(mounted) == []


def test_where_the_expert_added_little_all_of_it_is_enough(mounted: Path) -> None:
    (mounted / "package/a.py").write_text(LINES[0])
    assert found(mounted, Answer((), LINES[:1])) == ["package/a.py"]
    assert found(mounted, Answer((), LINES[:2])) == []


@pytest.mark.parametrize("content", [f'{{"commit_id": "{ID}"}}'.encode(), b"\0\1" + ID.encode(), ID[:12].encode()])
def test_the_commit_id_is_found_in_any_file(mounted: Path, content: bytes) -> None:
    (mounted / "package/direct_url.json").write_bytes(content)
    assert found(mounted) == ["package/direct_url.json"]


def test_the_commit_id_is_found_in_the_names_of_files_folders_and_links(mounted: Path) -> None:
    (mounted / f"{ID[:8]}.patch").write_text("")
    (mounted / f"vllm-{ID}").mkdir()
    (mounted / "link").symlink_to(f"/nowhere/{ID[:10]}")
    assert found(mounted) == [f"{ID[:8]}.patch", "link", f"vllm-{ID}"]


@pytest.mark.parametrize("name", ["later.whl", "later.zip", "later.egg", "later.tar.gz", "later.tar.xz", "later.tgz"])
def test_the_answer_is_found_inside_an_archive(mounted: Path, name: str) -> None:
    archive = mounted / "package" / name
    if "zip" in name or "whl" in name or "egg" in name:
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("later/evictor.py", THREE)
            packed.writestr(f"later/{ID[:9]}.txt", "")
            packed.writestr("later/version.txt", ID)
    else:
        with tarfile.open(archive, "w:xz" if name.endswith("xz") else "w:gz") as tar:
            for member, text in (("later/evictor.py", THREE), (f"later/{ID[:9]}.txt", ""), ("later/version.txt", ID)):
                entry = tarfile.TarInfo(member)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
    inside = ["evictor.py", "version.txt", f"{ID[:9]}.txt"]
    assert found(mounted) == sorted(f"package/{name}!later/{n}" for n in inside)


def test_a_mounted_file_is_scanned_as_a_folder_is(tmp_path: Path) -> None:
    file = tmp_path / "later.whl"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("evictor.py", THREE)
    assert scan_roots(ANSWER, [Root(file, "1")], Cache(tmp_path / "cache"))


def test_broken_archives_and_unreadable_links_do_not_stop_the_scan(mounted: Path) -> None:
    (mounted / "a.whl").write_bytes(b"PK\3\4 nonsense")
    (mounted / "b.tar.gz").write_bytes(gzip.compress(b"not a tar")[:-4])
    (mounted / "c.xz").write_bytes(b"\xfd7zXZ\0 nonsense")
    good = io.BytesIO()
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x.py", "x" * 10_000)
    torn = bytearray(good.getvalue())
    torn[40:50] = b"\xff" * 10
    (mounted / "d.zip").write_bytes(bytes(torn))
    (mounted / "loop").symlink_to("loop")
    os.mkfifo(mounted / "pipe.zip")
    (mounted / "package/z.py").write_text(THREE)
    assert found(mounted) == ["package/z.py"]


def test_what_stays_hidden_inside_is_not_looked_at(mounted: Path) -> None:
    (mounted / "lib/site-packages/later").mkdir(parents=True)
    (mounted / f"lib/site-packages/later/{ID}.py").write_text(THREE)
    assert found(mounted) != []
    assert found(mounted, masked=("site-packages",)) == []


def test_links_that_lead_out_of_a_mount_are_not_followed(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/evictor.py").write_text(THREE)
    (mounted / "out").symlink_to(tmp_path / "elsewhere")
    assert found(mounted) == []


def test_clean_results_are_remembered_leaks_are_looked_for_again(mounted: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    told: list[str] = []
    root = Root(mounted, "version 1")
    assert scan_roots(ANSWER, [root, root], cache, told.append) == []
    assert len(told) == 1
    assert scan_roots(ANSWER, [root], cache, told.append) == []
    assert len(told) == 1, "the same version of the same folder was searched again"
    (mounted / "package/late.py").write_text(THREE)
    for _ in range(2):
        assert scan_roots(ANSWER, [replace(root, version="version 2")], cache, told.append)
    assert scan_roots(Answer((), LINES[:4]), [root], cache, told.append), "another answer is another question"


def test_a_search_that_fails_is_not_taken_for_clean(
    mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "grep").write_text("#!/bin/sh\necho 'grep: memory exhausted' >&2\nexit 2\n")
    (tools / "grep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(RecordError, match="memory exhausted"):
        scan_roots(ANSWER, [Root(mounted, "1")], Cache(tmp_path / "cache"))


# --- what a leak does ----------------------------------------------------------------------------------------------

sandboxed = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.mark.sandbox
@sandboxed
@pytest.mark.parametrize("where", ["prompt", "environment"])
def test_an_attempt_that_would_be_told_the_answer_is_never_launched(
    where: str, source: Source, cache: Cache, tmp_path: Path
) -> None:
    told = f"As in {source.expert[:8]}, make it fast."
    prepared = prepare(source, cache, instructions=told if where == "prompt" else "Make it fast.")
    agent = ProbeAgent("true", env={"HINT": "return remembered_partial_sums[-1]"} if where == "environment" else {})
    done = attempt(agent, prepared, Bubblewrap(), tmp_path)
    assert done.facts.process is None and done.facts.sandbox is None
    assert done.facts.error is not None and done.facts.error.kind == "LeakError"
    assert ("the prompt" if where == "prompt" else "environment HINT") in done.facts.error.message
    assert done.status.diagnosis is not None and done.status.diagnosis.failure is FailureClass.ANSWER_LEAKED
    assert done.status.run == "infra_error"


@pytest.mark.sandbox
@sandboxed
def test_the_preflight_refuses_an_agent_whose_installation_holds_the_answer(
    prepared: PreparedTask, cache: Cache, tmp_path: Path
) -> None:
    (tmp_path / "tool").mkdir()
    agent = ProbeAgent(mounts=(Mount(tmp_path / "tool", "/opt/tool"),))
    sandbox = Bubblewrap()
    ready = Ready(sandbox, sandbox.probe(), cache, installations={"probe": agent.locate(silent)})
    require_no_leak(ready, prepared, "probe")
    (tmp_path / "tool/slow.py").write_text(EXPERT["pkg/slow.py"])
    with pytest.raises(LeakError, match=r"tool/slow\.py") as raised:  # of the same version as before
        require_no_leak(ready, prepared, "probe")
    assert "task probe" in str(raised.value) and raised.value.hint
    require_no_leak(replace(ready, sandbox=HostSandbox()), prepared, "probe")


def test_no_leak_is_no_error(prepared: PreparedTask) -> None:
    refuse_leaks(prepared, [])


def test_the_packaging_that_pytest_brings_holds_the_experts_change_of_packaging(cache: Cache) -> None:
    """The known case: a task on packaging whose environment installs a later packaging by way of pytest."""
    files = ("src/packaging/version.py", "src/packaging/utils.py", "src/packaging/_structures.py")
    pair = PypiPair(
        package="packaging", base=PypiRelease(version="25.0"), expert=PypiRelease(version="26.0"), files=files
    )
    task = Task(name="packaging-versions", source=PypiSource(pypi=pair), instructions="Make versions faster.")
    commits = fetch(task, Path.cwd(), cache, silent)
    answer = answer_of(commits.repository, commits.base_tree, commits.expert_tree, (commits.expert,))
    for requirements, leaks in (
        (["pytest==8.4.2", "packaging==26.0"], True),
        (["pytest==8.4.2", "packaging==25.0"], False),
    ):
        built = build_environment(requirements, None, cache)
        places = {leak.place for leak in scan_roots(answer, [Root(built.folder, built.digest)], cache)}
        assert bool(places) is leaks, places
        if leaks:
            assert any(place.endswith("site-packages/packaging/version.py") for place in places)
