"""Arms: the states measured against each other, written out and built where their own code cannot change them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from speedproof.errors import TaskError
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import run_command
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import ENVIRONMENT, OUT, WORKSPACE
from speedproof.workspace.checkout import Base, Stamp, Workspace, stamps
from speedproof.workspace.git import git
from speedproof.workspace.tree import Entry, give_to, list_tree, remove, write_tree

BUILD_TIMEOUT_S = 3600.0
COMPILE_TIMEOUT_S = 300.0
_BYTECODE = re.compile(rb"(.*/)?__pycache__/([^/]+?)\.[^/.]+\.pyc", re.DOTALL)


@dataclass(frozen=True)
class ArmTree:
    """An arm written out on this machine."""

    name: str
    tree: str
    folder: Path

    def workspace(self, scratch: Path) -> Workspace:
        """A throwaway copy that may be written to."""
        return Workspace(Base(self.folder, self.tree, ""), scratch)


def writable(workspace: Workspace) -> Mount:
    """The tree of a throwaway copy, to be written to."""
    upper = workspace.upper
    return Mount(workspace.path, WORKSPACE, writable=True, stored=Path(os.fsdecode(upper)) if upper else None)


def restore_protected(
    repository: Path, base_tree: str, tree: str, patterns: tuple[str, ...], index: Path
) -> tuple[str, tuple[str, ...]]:
    """`tree` with all protected paths as in base, and the paths that differed; `index` is a scratch file."""
    base, other = list_tree(repository, base_tree), list_tree(repository, tree)
    spec = GitIgnoreSpec.from_lines(patterns)
    touched = sorted(
        path
        for path in {*base, *other}
        if base.get(path) != other.get(path) and spec.match_file(path.decode(errors="surrogateescape"))
    )
    if not touched:
        return tree, ()
    gone = Entry("0", "0" * 40)
    lines = [(base.get(path, gone), path) for path in touched]
    info = b"".join(b"%s %s\t%s\0" % (e.mode.encode(), e.blob.encode(), path) for e, path in lines)
    env = {"GIT_INDEX_FILE": str(index)}
    git("read-tree", tree, repository=repository, env=env)
    git("update-index", "-z", "--index-info", repository=repository, env=env, input=info)
    restored = git("write-tree", repository=repository, env=env).decode().strip()
    return restored, tuple(path.decode(errors="replace") for path in touched)


def make_arm(name: str, tree: str, prepared: PreparedTask, repository: Path, sandbox: Sandbox, folder: Path) -> ArmTree:
    """Write `tree` under `folder` and build it.

    Raises TaskError when the build command fails, with the end of its output, or when it changes protected paths:
    the code that is judged must not write its own tests.
    """
    target = folder / name
    target.mkdir(parents=True)
    write_tree(repository, tree, target)
    give_to(target, sandbox.uid)
    if prepared.task.build is not None:
        before = _protected_stamps(target, prepared)
        box = Box(
            argv=("/bin/sh", "-c", prepared.task.build),
            env=prepared.variables(),
            mounts=(Mount(target, WORKSPACE, writable=True), *prepared.mounts()),
            interpreters=prepared.interpreters,
        )
        done = run_command(sandbox, box, BUILD_TIMEOUT_S, prepared.task.limits)
        if not done.ok:
            remove(target)
            raise TaskError(
                f"task {prepared.task.name}: the build command {done.how} on {name}:\n{done.tail(12)}",
                kind="setup_failed",
                hint="run the command by hand; it must work offline",
            )
        if _protected_stamps(target, prepared) != before:
            remove(target)
            raise TaskError(
                f"task {prepared.task.name}: the build on {name} changes protected paths",
                kind="setup_failed",
                hint="narrow `protected` in the suite where the build writes there for good reason",
            )
    return ArmTree(name, tree, target)


def _protected_stamps(folder: Path, prepared: PreparedTask) -> dict[bytes, Stamp]:
    spec = GitIgnoreSpec.from_lines(prepared.task.protected)
    return {p: stamp for p, stamp in stamps(folder).items() if spec.match_file(p.decode(errors="surrogateescape"))}


def compile_bytecode(used: Workspace, arm: ArmTree, prepared: PreparedTask, sandbox: Sandbox, scratch: Path) -> None:
    """Compile in the arm what a warm-up in `used` imported, so that no measured run has to.

    Only the names of what was imported are taken from the warm-up; the bytecode there is the arm's own work.
    """
    if prepared.environment is None:
        return  # no interpreter is known: every run of every arm then compiles for itself
    try:
        left = stamps(used.path).keys() - used.before.keys()
    except OSError:
        return  # the warm-up left a tree nobody can walk; as above
    found = (_BYTECODE.fullmatch(path) for path in left)
    sources = sorted({(m[1] or b"") + m[2] + b".py" for m in found if m} & used.before.keys())
    listing = scratch / f"sources-{arm.name}"
    listing.write_bytes(b"".join(source + b"\n" for source in sources))
    box = Box(
        argv=(f"{ENVIRONMENT}/bin/python", "-I", "-m", "compileall", "-q", "-i", f"{OUT}/sources"),
        env=prepared.variables(),
        mounts=(Mount(arm.folder, WORKSPACE, writable=True), Mount(listing, f"{OUT}/sources"), *prepared.mounts()),
        interpreters=prepared.interpreters,
    )
    # what cannot be compiled is compiled, or fails, in each run
    run_command(sandbox, box, COMPILE_TIMEOUT_S, prepared.task.limits)
