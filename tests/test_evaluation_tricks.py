"""Ways to be called faster without being it: each must end in anything but a proof."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from small_project import BASE, EXPERT, GENUINE, PYTEST, TESTS, WORKLOAD, Project, judge_of, make_project, prepare_small
from speedproof.evaluation.checks import shadowing_check
from speedproof.journal import Check, Evaluation
from speedproof.sandbox import Box, Bubblewrap, Confined
from speedproof.workspace.cache import Cache

pytestmark = pytest.mark.sandbox


def judged(folder: Path, project: Project, cache: Cache, files: dict[str, str | None], **changes: object) -> Evaluation:
    workload = str(changes.pop("workload", WORKLOAD))
    with judge_of(prepare_small(folder, project, cache, workload, **changes)) as judge:
        return judge.judge({"patch": project.patch(files)})["patch"]


def check(evaluation: Evaluation, name: str) -> Check:
    (found,) = (c for c in evaluation.checks if c.name == name)
    return found


def test_a_workload_without_outputs_proves_nothing_correct(tmp_path: Path, cache: Cache, project: Project) -> None:
    silent = WORKLOAD.replace("stop(tools.unique(numbers))", "tools.unique(numbers)\nos.write(fd, b'stop\\n')").replace(
        "start()", "fd = int(os.environ['SPEEDPROOF_FD'])\nos.write(fd, b'start\\n')"
    )
    silent = "import os\n" + silent
    lazy = BASE.replace("    found = []\n", "    return []\n    found = []\n")
    found = judged(tmp_path / "s", project, cache, {"tools.py": lazy}, workload=silent, tests=None)
    assert check(found, "outputs").result == "unknown"
    assert found.verdict.speed == "faster"
    assert (found.verdict.correctness, found.verdict.proven) == ("unknown", False)


def test_a_later_test_command_does_not_hide_the_failures_of_an_earlier_one(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    wrong = BASE.replace("    found = []\n", "    return sorted(set(items))\n    found = []\n")
    passing = PYTEST.replace("tests", "/task/test_tools.py", 1).replace(" tests", "")
    assert passing != PYTEST
    hiding = (
        "python -c \"import os; open(os.environ['SPEEDPROOF_JUNIT'], 'w').write('<testsuite>' + ''.join("
        'f\'<testcase classname=\\"tests.test_tools\\" name=\\"{n}\\"/>\' for n in '
        "('test_order_is_kept', 'test_nothing_stays_nothing', 'test_strings_work_too')) + '</testsuite>')\""
    )
    tests = [{"command": PYTEST}, {"command": hiding}]
    found = judged(tmp_path / "s", project, cache, {"tools.py": wrong}, tests=tests, workloads=None)
    assert check(found, "tests").result == "fail"


def test_a_build_cannot_write_the_tests_it_is_judged_by(tmp_path: Path, cache: Cache) -> None:
    files = {"tools.py": BASE, "tests/test_tools.py": TESTS, "build.sh": "true\n"}
    project = make_project(tmp_path / "project", files, {"tools.py": EXPERT})
    patch = {"tools.py": GENUINE, "build.sh": "echo 'def test_order_is_kept(): pass' > tests/test_tools.py\n"}
    found = judged(tmp_path / "s", project, cache, patch, build="sh build.sh")
    assert check(found, "build").result == "fail"
    assert "protected paths" in check(found, "build").message
    assert check(found, "configuration").result == "flag"
    assert not found.verdict.proven


def test_work_moved_to_import_is_seen_however_little_it_is(tmp_path: Path, cache: Cache, project: Project) -> None:
    slow = "import time\n\n" + BASE.replace("    found = []\n", "    time.sleep(0.2)\n    found = []\n", 1)
    base = make_project(tmp_path / "p", {"tools.py": slow, "tests/test_tools.py": TESTS}, {"tools.py": EXPERT})
    moved = slow.replace("def unique", "time.sleep(0.03)\n\n\ndef unique").replace("sleep(0.2)", "sleep(0.17)")
    found = judged(tmp_path / "s", base, cache, {"tools.py": moved}, tests=None)
    assert check(found, "setup").result == "flag"
    assert not found.verdict.proven


PLANTED = """
import importlib.util, marshal, os, struct, sys

def unique(items):
    found = []
    for item in items:
        if item not in found:
            found.append(item)
    return found

here = os.path.dirname(__file__)
try:
    os.makedirs(os.path.join(here, "__pycache__"), exist_ok=True)
    code = compile("def unique(items):\\n    return list(dict.fromkeys(items))\\n", __file__, "exec")
    with open(importlib.util.cache_from_source(__file__), "wb") as file:
        file.write(importlib.util.MAGIC_NUMBER + struct.pack("<I", 1) + b"12345678" + marshal.dumps(code))
except OSError:
    pass
"""


def test_bytecode_planted_while_warming_up_is_not_what_is_measured(
    tmp_path: Path, cache: Cache, project: Project
) -> None:
    found = judged(tmp_path / "s", project, cache, {"tools.py": PLANTED})
    assert found.verdict.correctness == "pass"
    assert found.verdict.speed != "faster"


@pytest.mark.parametrize(
    "mischief",
    [
        "os.makedirs('/workspace/__pycache__', exist_ok=True)",
        "[(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(40)]",
        "os.symlink('/etc', '/workspace/__pycache__')",
    ],
)
def test_what_a_patch_does_to_its_tree_while_warming_up_stops_nobody(
    tmp_path: Path, cache: Cache, project: Project, mischief: str
) -> None:
    code = GENUINE + f"\nimport os\n\ntry:\n    {mischief}\nexcept OSError:\n    pass\n"
    found = judged(tmp_path / "s", project, cache, {"tools.py": code}, tests=None)
    assert found.verdict.correctness == "pass"


@pytest.mark.parametrize(
    ("added", "result"),
    [
        (["pytest.py"], "flag"),
        (["src/json/__init__.py"], "flag"),
        (["random.py"], "flag"),
        (["src/mine/random.py"], "pass"),
        (["test/test_more.py"], "pass"),
        (["fast.py"], "pass"),
    ],
)
def test_modules_under_the_names_of_others_are_flagged(added: Iterable[str], result: str) -> None:
    taken = {"pytest", "json", "random", "test"}
    found = shadowing_check(added, ["test/test_it.py", "src/mine/__init__.py"], taken, "/opt/speedproof:/workspace/src")
    assert found.result == result


def test_a_pinned_process_cannot_take_another_cpu() -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("this machine has one CPU")
    script = f"taskset -c {cpus[0]},{cpus[1]} true && exit 3; taskset -cp $$ | grep -q ': {cpus[1]}$'"
    box = Box(argv=("/bin/sh", "-c", script), cwd="/", env={"PATH": "/usr/bin:/bin"}, cpu=cpus[1])
    with Path(os.devnull).open("wb") as nothing:
        assert Confined(Bubblewrap(), box, stdout=nothing, stderr=nothing).wait().exit_code == 0
