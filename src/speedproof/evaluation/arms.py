"""Arms: the states measured against each other, written out and built where their own code cannot change them."""

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from speedproof.errors import TaskError
from speedproof.evaluation.prepared import PreparedTask
from speedproof.evaluation.running import run_command
from speedproof.sandbox import Box, Mount, Sandbox
from speedproof.sandbox.box import WORKSPACE
from speedproof.workspace.checkout import Base, Workspace
from speedproof.workspace.git import git
from speedproof.workspace.reading import read_untrusted
from speedproof.workspace.tree import Entry, give_to, list_tree, remove, write_tree

BUILD_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class ArmTree:
    """An arm written out on this machine."""

    name: str
    tree: str
    folder: Path

    def workspace(self, scratch: Path) -> Workspace:
        """A throwaway copy that may be written to."""
        return Workspace(Base(self.folder, self.tree, ""), scratch)


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

    Raises TaskError when the build command fails, with the end of its output.
    """
    target = folder / name
    target.mkdir(parents=True)
    write_tree(repository, tree, target)
    give_to(target, sandbox.uid)
    if prepared.task.build is not None:
        box = Box(
            argv=("/bin/sh", "-c", prepared.task.build),
            env=prepared.variables(),
            mounts=(Mount(target, WORKSPACE, writable=True), *prepared.mounts()),
            interpreters=prepared.interpreters,
        )
        done = run_command(sandbox, box, BUILD_TIMEOUT_S)
        if not done.ok:
            remove(target)
            raise TaskError(
                f"task {prepared.task.name}: the build command {done.how} on {name}:\n{done.tail(12)}",
                kind="setup_failed",
                hint="run the command by hand; it must work offline",
            )
    return ArmTree(name, tree, target)


def keep_bytecode(used: Workspace, arm: ArmTree) -> int:
    """Copy the bytecode that a warm-up left in a throwaway workspace into the arm; returns how many files.

    Both trees are hostile: a link in either could lead out of them, so nothing is read or written through one.
    """
    kept = 0
    for found in sorted(used.path.rglob("__pycache__/*.pyc")):
        relative = found.relative_to(used.path)
        source = arm.folder / relative.parent.parent / f"{relative.name.split('.')[0]}.py"
        target = arm.folder / relative
        if any(_holds_link(root, relative.parent) for root in (used.path, arm.folder)):
            continue
        content = read_untrusted(found, 16 << 20)
        if content is None or not source.is_file() or target.exists() or target.is_symlink():
            continue
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
        kept += 1
    return kept


def _holds_link(root: Path, relative: Path) -> bool:
    return any((root / part).is_symlink() for part in (relative, *relative.parents))
