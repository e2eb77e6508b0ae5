"""Rules on names: agent, model, repository, commit and item, as labels say and as evidence says."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from speedproof.analysis.audit.finding import Found, Place, Unseen, at, counted, fact, place, shown
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject, commit_of
from speedproof.analysis.collection import Entry
from speedproof.journal.foreign_parts import Told, plain_name

_LONGEST = 60
"""Letters of a label that may be a typing error."""
_MOST = 5


def _against(entry: Entry, told: Told) -> tuple[Place, ...]:
    labels = tuple(_label(entry, key, told.labels[key]) for key in told.contradicted)
    return labels + tuple(shown(entry, each) for each in told.evidence)


def _label(entry: Entry, key: str, label: str) -> Place:
    """The place of a label: a field of a file, or the folder's path."""
    file, colon, path = key.partition(":")
    if colon:
        return at(entry, file, path=path, text=f"{path.rpartition('.')[2]}: {label}")
    return place(entry.attempt.archive, entry.attempt.folder, text=f"{key}: {label}")


def _mislabelled(subject: Subject, what: Literal["agent", "model"]) -> Iterator[Found | Unseen]:
    blind = 0
    for entry in subject.foreign:
        told = entry.attempt.agent if what == "agent" else entry.attempt.model
        wrong = told.contradicted
        if wrong:
            named = ", ".join(f"{told.labels[key]!r} ({key})" for key in wrong)
            said = f"named {named}; its own records say {told.value} ({told.confidence})"
            yield Found(said, (entry,), _against(entry, told))
        blind += told.confidence in ("label", "none")
    if blind:
        yield Unseen(f"nothing but a label tells their {what}, or nothing at all", blind)


@rule(
    "agent-label-wrong",
    "error",
    "Filed under another agent",
    why="A comparison of agents by folder or journal counts it for one that did not run.",
    do="Count by evidence, as `speedproof compare --by agent` does.",
)
def agent_label(subject: Subject) -> Iterator[Found | Unseen]:
    """Labels that name another agent than the evidence does."""
    yield from _mislabelled(subject, "agent")


@rule(
    "model-label-wrong",
    "error",
    "Filed under another model",
    why="A leaderboard made from predictions or folders then scores a model that was never asked.",
    do="Count by evidence, and correct model_name_or_path before publishing predictions.",
)
def model_label(subject: Subject) -> Iterator[Found | Unseen]:
    """Labels that name another model than the evidence does."""
    yield from _mislabelled(subject, "model")


@rule(
    "model-other-than-asked",
    "error",
    "Another model answered than was asked",
    why="A router or an alias put another model in its place; what was measured is not what was meant.",
    do="Pin the dated name of the model.",
)
def other_model(subject: Subject) -> Iterator[Found | Unseen]:
    """The model in answers beside the model in requests."""
    blind = 0
    for entry in subject.entries:
        asked, told = entry.attempt.model_asked, entry.attempt.model
        if asked is None or told.value is None or told.confidence != "direct" or entry.attempt.own:
            blind += 1
        elif plain_name(asked) != plain_name(told.value):
            places = tuple(shown(entry, each) for each in told.evidence)
            yield Found(f"asked for {asked}; answered by {told.value}", (entry,), places)
    if blind:
        yield Unseen("no file tells both the model that was asked and the one that answered", blind)


def _own_words(entry: Entry) -> set[str]:
    """Words by which an attempt's own files name its repository: those of its task, and folders in its paths."""
    attempt = entry.attempt
    words = set((attempt.task or "").replace("-", "_").casefold().split("_"))
    paths = list(attempt.patch.files) if attempt.patch else []
    paths += [str(value) for key, value in attempt.facts.items() if ":target_files[" in key or ":allowed[" in key]
    for path in paths:
        words.update(path.casefold().split("/")[:-1])
    return words


def _near(labels: list[str]) -> Iterator[tuple[str, str]]:
    """Pairs of labels that one letter more, less or changed makes equal; figures are versions, no typing errors."""
    variants: dict[str, list[str]] = {}
    for label in labels:
        if 4 <= len(label) <= _LONGEST:
            for variant in {label} | {label[:n] + label[n + 1 :] for n in range(len(label))}:
                variants.setdefault(variant, []).append(label)
    seen = set()
    for group in variants.values():
        for one in group[:_MOST]:
            for other in group[:_MOST]:
                if one < other and (one, other) not in seen:
                    seen.add((one, other))
                    if [c for c in one if c.isdigit()] == [c for c in other if c.isdigit()]:
                        yield one, other


@rule(
    "repository-label-typo",
    "warning",
    "A repository's label looks like a typing error of another's",
    why="Groups by label fall apart in two, and paths made from it lead nowhere. (`rstrip('.git')` cuts letters, no "
    "ending.)",
    do="Count both as one repository, and correct the label where it is made.",
)
def repository_typo(subject: Subject) -> Iterator[Found | Unseen]:
    """Two labels that differ by one letter, of which the attempts' own files speak for one."""
    groups = {label.casefold(): members for label, members in subject.by("repository")}
    for entry in subject.entries:
        for word in _own_words(entry) if entry.attempt.repository else ():
            groups.setdefault(word, ())
    labelled = {label for label, members in groups.items() if members}
    for one, other in _near(sorted(groups)):
        if one not in labelled and other not in labelled:
            continue
        votes = Counter(
            word for entry in (*groups[one], *groups[other]) for word in _own_words(entry) if word in (one, other)
        )
        wrong, right = sorted((one, other), key=lambda label: (votes[label], len(groups[label])))
        if not groups[wrong] or votes[wrong] >= votes[right] > 0:
            continue
        members = groups[wrong]
        said = f"filed under {wrong!r}: {counted(len(members), 'attempt')}; "
        said += f"their files speak of {right!r}" if votes[right] else f"one letter from {right!r}"
        if groups[right]:
            said += f", under which {counted(len(groups[right]), 'other is', 'others are')} filed"
        places = tuple(_label_place(entry, wrong) for entry in members[:_MOST])
        yield Found(said, members, places)
    blind = sum(entry.attempt.repository is None for entry in subject.foreign)
    if blind:
        yield Unseen("they name no repository", blind)


def _label_place(entry: Entry, label: str) -> Place:
    for key, value in entry.attempt.facts.items():
        if isinstance(value, str) and value.casefold() == label:
            return fact(entry, key)
    file = entry.attempt.files[0].path if entry.attempt.files else ""
    return at(entry, file, text=f"folder {entry.attempt.folder}")


@rule(
    "commits-disagree",
    "error",
    "An attempt's own files name different commits",
    why="The prompt, the journal and the branch of one attempt speak of different tasks.",
    do="Find out which one ran before it is counted for any.",
)
def commits_disagree(subject: Subject) -> Iterator[Found | Unseen]:
    """The expert's commit in each file of an attempt, as far as the shorter spelling goes."""
    for entry in subject.foreign:
        named = {
            key: value
            for key, value in entry.attempt.facts.items()
            if key.endswith(":commits.human") and isinstance(value, str) and value
        }
        branch = entry.attempt.facts.get("journal.json:agent_branch")
        last = branch.rpartition("/")[2] if isinstance(branch, str) else ""
        if len(last) >= 7 and all(c in "0123456789abcdef" for c in last):
            named["journal.json:agent_branch"] = last
        longest = max(named.values(), key=len, default="")
        wrong = [value for value in named.values() if not longest.startswith(value)]
        if wrong:
            said = "; ".join(f"{value[:12]} ({key})" for key, value in named.items())
            yield Found(f"different commits: {said}", (entry,), tuple(fact(entry, key) for key in named))


@rule(
    "item-two-commits",
    "error",
    "One item id means different commits",
    why="Ids from positions in a plan change with the plan: whoever joins by them sets different tasks beside each "
    "other, and takes new tasks for retries.",
    do="Join by commit. Make ids from content.",
)
def item_commits(subject: Subject) -> Iterator[Found | Unseen]:
    """Items of one name with more than one commit."""
    for item, members in subject.by("item"):
        commits: dict[str, list[Entry]] = {}
        for entry in members:
            commit = commit_of(entry)
            if commit is not None:
                commits.setdefault(commit, []).append(entry)
        if len(commits) > 1:
            said = ", ".join(
                f"{commit} in {counted(len(each), 'attempt')}" for commit, each in list(commits.items())[:_MOST]
            )
            more = f" and {len(commits) - _MOST} more" if len(commits) > _MOST else ""
            firsts = [each[0] for each in commits.values()]
            places = tuple(_commit_place(entry) for entry in firsts)
            concerned = tuple(entry for each in commits.values() for entry in each)
            yield Found(f"item {item!r} means {len(commits)} commits: {said}{more}", concerned, places)
    blind = sum(entry.attempt.commit is None for entry in subject.foreign)
    if blind:
        yield Unseen("no file names their commit", blind)


def _commit_place(entry: Entry) -> Place:
    for key in entry.attempt.facts:
        if key.endswith(":commits.human"):
            return fact(entry, key)
    return place(entry.attempt.archive, entry.attempt.folder, text=f"commit {entry.attempt.commit}")


RULES = (agent_label, model_label, other_model, repository_typo, commits_disagree, item_commits)
