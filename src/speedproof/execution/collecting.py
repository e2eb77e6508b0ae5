"""What an attempt left, taken into its record: the patch, what the agent says of itself, its trajectory."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from speedproof.agents.protocol import Agent, Left
from speedproof.execution.facts import Facts
from speedproof.execution.scratch import Scratch
from speedproof.journal import PatchFacts
from speedproof.workspace.checkout import Workspace
from speedproof.workspace.effect import effect_of
from speedproof.workspace.patch import PatchError, apply_patch, extract_patch
from speedproof.workspace.reading import open_untrusted
from speedproof.workspace.tree import remove


def collect_patch(
    facts: Facts, workspace: Workspace, repository: Path, protected: Sequence[str], scratch: Scratch
) -> None:
    """Take the patch; `repository` holds the base's objects. It can be taken again when a kill came in between.

    Raises GitError, RecordError or OSError.
    """
    own, index = scratch.folder / "harness.git", scratch.folder / "index"
    for left in (own, index, index.with_name("index.lock")):
        remove(left)
    base_tree = workspace.base.tree
    extracted = extract_patch(workspace, repository, own)
    facts.store.write_bytes("patch.diff", extracted.diff)
    try:
        applies = apply_patch(own, base_tree, extracted.diff, index) == extracted.tree
    except PatchError:
        applies = False
    facts.fields["patch"] = PatchFacts(
        sha256=hashlib.sha256(extracted.diff).hexdigest(),
        size=len(extracted.diff),
        tree=extracted.tree,
        files=extracted.files,
        added_lines=extracted.added_lines,
        removed_lines=extracted.removed_lines,
        effect=effect_of(own, base_tree, extracted.tree, protected),
        applies=applies,
        left_out=extracted.left_out,
        left_out_count=extracted.left_out_count,
        refused=extracted.refused,
    )


def collect_evidence(facts: Facts, agent: Agent, scratch: Scratch) -> None:
    """Take what the agent says of itself, and its trajectory. Raises whatever reading an odd one raises."""
    store = facts.store
    left = Left(home=scratch.home, stdout=store.log_lines("stdout.log.zst"), stderr=store.log_lines("stderr.log.zst"))
    facts.fields["outcome"] = agent.outcome(left)
    trajectory = agent.trajectory(left)
    if trajectory is not None:
        name = f"trajectory{trajectory.suffix}"
        if _copy_untrusted(trajectory, store.folder / name):
            facts.fields["trajectory"] = name


def _copy_untrusted(source: Path, target: Path) -> bool:
    file = open_untrusted(source)
    if file is None:
        return False
    beside = target.with_name(f".{target.name}.tmp")
    try:
        with file, beside.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        beside.replace(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return True
