"""Checks of a patch beside its tests: does it apply, can it have an effect, does it keep its hands off."""

import statistics
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from speedproof.evaluation.decision import BASE
from speedproof.evaluation.statistics import signed_rank_interval
from speedproof.journal import Check, Evidence, Measurement, Method
from speedproof.sandbox.box import WORKSPACE
from speedproof.workspace.effect import Effect

_CONFIGURATION = {
    ".pytest.ini",
    ".pytest.toml",
    "CMakeLists.txt",
    "Makefile",
    "conftest.py",
    "meson.build",
    "pyproject.toml",
    "pytest.ini",
    "pytest.toml",
    "setup.cfg",
    "setup.py",
    "sitecustomize.py",
    "tox.ini",
    "usercustomize.py",
}
SETUP_SHARE = 0.25
"""Share of the seconds that a patch saves by which its set-up may surely grow before it is looked at."""

_PATCH = Evidence(file="patch.diff")


def effect_check(effect: Effect) -> Check:
    """Whether the patch can change what the program does."""
    if effect == "none":
        message = "the patch has no effect: it changes only comments, whitespace, docstrings or scratch files"
        return Check(name="effect", result="fail", message=message, evidence=(_PATCH,))
    if effect == "tests_only":
        message = "the patch changes protected paths only"
        return Check(name="effect", result="fail", message=message, evidence=(_PATCH,))
    return Check(name="effect", result="pass", message="the patch changes code")


def protected_check(touched: Sequence[str]) -> Check:
    """Whether it leaves protected paths alone; they were put back to base before judging."""
    if touched:
        message = (
            f"the patch touches {len(touched)} protected paths (put back before judging): {', '.join(touched[:5])}"
        )
        return Check(name="protected", result="flag", message=message, evidence=(_PATCH,))
    return Check(name="protected", result="pass", message="protected paths are untouched")


def configuration_check(files: Sequence[str], protected: Sequence[str], *, built: bool) -> Check:
    """Whether it changes files that decide how Python starts, or how the project is tested or, where `built`, built."""
    suffixes = {".pth", ".pyc", *({".sh", ".cmake", ".mk"} if built else ())}
    found = [
        f
        for f in files
        if f not in protected and (PurePosixPath(f).name in _CONFIGURATION or PurePosixPath(f).suffix in suffixes)
    ]
    if found:
        message = f"the patch changes how the project starts, builds or is tested: {', '.join(found[:5])}"
        return Check(name="configuration", result="flag", message=message, evidence=(_PATCH,))
    return Check(name="configuration", result="pass", message="build, start-up and test configuration are untouched")


def shadowing_check(added: Iterable[str], known: Iterable[str], taken: Collection[str], python_path: str) -> Check:
    """Whether an added file takes the name of a module of Python or of the environment (`taken`) where it would be
    found first: in the repository's root or in a folder of `python_path`. Names that base has there (`known` are its
    paths) are its own."""
    roots = {PurePosixPath(p.removeprefix(WORKSPACE).strip("/")) for p in (WORKSPACE, *python_path.split(":"))}
    own = {name for path in known for name in _importable(path, roots)}
    found = [path for path in added if any(n in taken for n in set(_importable(path, roots)) - own)]
    if found:
        message = f"the patch adds modules under the names of others, which they replace: {', '.join(found[:5])}"
        return Check(name="shadowing", result="flag", message=message, evidence=(_PATCH,))
    return Check(name="shadowing", result="pass", message="no added file takes the name of another module")


def _importable(path: str, roots: Iterable[PurePosixPath]) -> list[str]:
    """The top-level names under which a path can be imported from `roots`."""
    file = PurePosixPath(path)
    return [file.relative_to(r).parts[0].split(".")[0] for r in roots if file.is_relative_to(r) and file != r]


def setup_check(measurement: Measurement, arm: str, method: Method) -> Check:
    """Whether work moved from the timed part into set-up: seconds before the start signal, against base's.

    Block by block, as everything else is compared: only what the noise of this machine cannot explain counts.
    """
    taken = {(s.workload, s.block, s.arm): s for s in measurement.samples}
    for workload in dict.fromkeys(s.workload for s in measurement.samples):
        pairs = [
            (sample, taken[workload, block, arm])
            for (name, block, of), sample in taken.items()
            if name == workload and of == BASE and (workload, block, arm) in taken
        ]
        differences = np.array([patched.setup_s - base.setup_s for base, patched in pairs])
        interval = signed_rank_interval(differences, method.alpha)
        grown = interval.low or 0.0
        before = statistics.median(base.seconds for base, _ in pairs)
        saved = before - statistics.median(patched.seconds for _, patched in pairs)
        if grown > 0 and grown > SETUP_SHARE * saved:
            message = (
                f"set-up of {workload} takes {interval.estimate * 1000:.0f} ms longer than on base, "
                f"the timed part {saved * 1000:.0f} ms less"
            )
            return Check(name="setup", result="flag", message=message)
    return Check(name="setup", result="pass", message="set-up takes as long as on base")
