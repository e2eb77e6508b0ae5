"""Rules on what a patch holds that does not belong there."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from speedproof.analysis.audit.finding import Found, Unseen, known, patch, shown
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import ForeignPatch

_LOCKS = {
    "bun.lockb",
    "cargo.lock",
    "composer.lock",
    "conda-lock.yml",
    "gemfile.lock",
    "go.sum",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pdm.lock",
    "pipfile.lock",
    "pixi.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pylock.toml",
    "uv.lock",
    "yarn.lock",
}
_CI_FOLDERS = {".buildkite", ".circleci", ".github", ".gitlab", ".tekton"}
_CI_FILES = {
    ".gitlab-ci.yml",
    ".pre-commit-config.yaml",
    ".travis.yml",
    "appveyor.yml",
    "azure-pipelines.yml",
    "jenkinsfile",
}
_PAGES = {".md", ".rst"}
_MOST = 5
"""Paths that a message names."""
_NEAR = 0.5
"""Part of the added lines from which a patch is near what was shown."""
_FEWEST = 3
"""Lines below which nearness says nothing."""

Paths = Callable[[ForeignPatch], tuple[str, ...]]


def _holding(subject: Subject, paths: Paths, what: str) -> Iterator[Found | Unseen]:
    without = 0
    for entry in subject.entries:
        if entry.attempt.patch is None:
            without += 1
            continue
        found = paths(entry.attempt.patch)
        if found:
            yield Found(f"its patch holds {what}: {_listed(found)}", (entry,), patch(entry))
    if without:
        yield Unseen("there is no patch file", without)


def _listed(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
    return ", ".join(path[:200] for path in paths[:_MOST]) + more


def _own(held: ForeignPatch) -> tuple[str, ...]:
    return tuple(path for path in held.files if PurePosixPath(path).name == "model_patch.diff")


def _scratch(held: ForeignPatch) -> tuple[str, ...]:
    """A page of documentation that was there before is no scratch, though nothing gets faster by it."""
    pages = {path for path in held.files if PurePosixPath(path).suffix.lower() in _PAGES} - set(held.new_files)
    return tuple(path for path in held.scratch if PurePosixPath(path).name != "model_patch.diff" and path not in pages)


def _locks_or_ci(held: ForeignPatch) -> tuple[str, ...]:
    return tuple(path for path in held.files if _is_lock_or_ci(path))


def _is_lock_or_ci(path: str) -> bool:
    parts = PurePosixPath(path.casefold()).parts
    return bool(parts) and (parts[-1] in _LOCKS | _CI_FILES or not _CI_FOLDERS.isdisjoint(parts[:-1]))


@rule(
    "patch-own-file",
    "warning",
    "The patch holds itself",
    why="The harness wrote its patch into the tree it was about to compare: sizes, line counts and digests of it are "
    "wrong, and two equal changes differ.",
    do="Leave model_patch.diff out before judging or counting. Write patches outside the workspace.",
)
def own_file(subject: Subject) -> Iterator[Found | Unseen]:
    """The file model_patch.diff in a patch."""
    yield from _holding(subject, _own, "its own file")


@rule(
    "patch-scratch",
    "note",
    "The patch holds scratch",
    why="Logs, notes and backups are no part of the change, and count into its size.",
    do="Leave them out before judging or counting.",
)
def scratch(subject: Subject) -> Iterator[Found | Unseen]:
    """Files that are no part of the program."""
    yield from _holding(subject, _scratch, "scratch")


@rule(
    "patch-tests",
    "warning",
    "The patch changes tests",
    why="An agent that changes the tests decides itself whether it is correct.",
    do="Judge with the tests of the base and the expert's commit, as `speedproof evaluate` does.",
)
def tests(subject: Subject) -> Iterator[Found | Unseen]:
    """Tests in a patch."""
    yield from _holding(subject, lambda held: held.tests, "tests")


@rule(
    "patch-lock-or-ci",
    "warning",
    "The patch changes lock or CI files",
    why="Another version of a dependency, or another build, is no optimization of the code, and may explain all of a "
    "speedup.",
    do="Read the change. Measure with the base's lock files.",
)
def locks_or_ci(subject: Subject) -> Iterator[Found | Unseen]:
    """Lock files, and the configuration of continuous integration."""
    yield from _holding(subject, _locks_or_ci, "lock or CI files")


@rule(
    "patch-outside-targets",
    "note",
    "The patch changes files outside of its targets",
    why="The harness itself lists these files as not allowed; a success beside them went unnoticed.",
    do="Decide whether the targets are a rule, and count such attempts apart.",
)
def outside(subject: Subject) -> Iterator[Found | Unseen]:
    """Files that the harness calls disallowed, its own patch file left out."""
    for entry in subject.foreign:
        found = tuple(path for path in _disallowed(entry) if PurePosixPath(path).name != "model_patch.diff")
        if found and entry.recorded:
            said = f"recorded as success; changed and not allowed: {_listed(found)}"
            yield Found(said, (entry,), known(entry, "diff_targets.json:ok") + patch(entry))


def _disallowed(entry: Entry) -> Iterator[str]:
    for key, value in entry.attempt.facts.items():
        if key.startswith("diff_targets.json:disallowed[") and isinstance(value, str):
            yield value


@rule(
    "patch-near-shown",
    "warning",
    "The patch repeats the change that its prompt shows",
    why="At least half of the lines it adds stand in a diff in the prompt: it copies the expert, or what was shown as "
    "an example.",
    do="Leave it out of every score of skill, and the diff out of the prompt.",
)
def near_shown(subject: Subject) -> Iterator[Found | Unseen]:
    """Lines of a patch that a diff in the prompt adds too. Without such a diff nothing is known of the expert's."""
    blind = 0
    for entry in subject.entries:
        attempt = entry.attempt
        if attempt.patch is None or not attempt.patch.size:
            continue
        lines = [each for each in (attempt.lines_as_shown, attempt.lines_as_expert) if each is not None]
        if not lines:
            blind += 1
            continue
        same, added = max(lines), attempt.patch.added
        if same >= _FEWEST and same >= _NEAR * added:
            diffs = (each for each in attempt.expert_shown if each.what == "diff")
            places = tuple(shown(entry, each.evidence) for each in diffs)
            yield Found(f"{same} of its {added} added lines stand in its prompt", (entry,), patch(entry) + places)
    if blind:
        yield Unseen("their prompt holds no diff, and the expert's change is not in the archive", blind)


RULES = (own_file, scratch, tests, locks_or_ci, outside, near_shown)
