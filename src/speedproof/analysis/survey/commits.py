"""Commits over all their attempts: solved or not by each rule, in which sequence, and why outcomes differ."""

from collections.abc import Iterator, Sequence

from speedproof.analysis.collection.dimensions import Plain
from speedproof.analysis.collection.history import SUCCESS
from speedproof.analysis.survey.document import Chart, Section, Sentence, Table
from speedproof.analysis.survey.evidence import classes
from speedproof.analysis.survey.part import Part, chart, table
from speedproof.analysis.survey.phrases import joined, links, name, say
from speedproof.analysis.survey.rules import SUCCESSES

_EACH = 12
"""Numbers of attempts up to which the chart has a bar for each."""
_STEPS = ((2, 3), (4, 7), (8, 15), (16, 31), (32, 63), (64, 127), (128, 255), (256, 511), (512, 1023))
"""Its bars where there are more."""
_SHOWN = 5
"""Commits whose attempts are listed one by one: those with most of them."""
_LISTED = 60
"""Attempts of such a commit that are listed."""
_REASONS = (
    ("infrastructure", "the failure's cause lies with harness, machine or network"),
    ("provider", "the provider refused the key, the quota was used up, or it did not answer"),
    ("configuration", "agent, model, time limit or prompt were others than at the success"),
    ("unexplained", "none of these: the agent went another way by itself"),
)
_SEVERAL: tuple[tuple[str, str], ...] = (
    ("Attempts", "attempts"),
    ("Runs", "runs"),
    ("Sequence", "sequence"),
    ("First success", "first_success"),
    ("Last", "latest_status"),
    *SUCCESSES,
)
_ONE = (("Status", "recorded_status"), *SUCCESSES, ("Error as recorded, or cause", "problem"))
_ATTEMPT = (
    ("Concluded", "concluded"),
    ("Model", "model"),
    ("Status", "recorded_status"),
    ("Exit", "exit_code"),
    ("Duration", "wall_s"),
    ("Steps", "steps"),
    ("Patch", "patch_bytes"),
    ("Confirmed", "confirmed"),
    ("Error as recorded, or cause", "problem"),
)


def commits_section(whole: Part) -> Section:
    """Every commit over its attempts, the most difficult first."""
    title = "Commits"
    commits = _by_difficulty(whole)
    if not commits:
        said = say("No attempt names its commit.")
        return Section(id="commits", title=title, paragraphs=((said,),))
    return Section(
        id="commits",
        title=title,
        paragraphs=((_solved(whole),),),
        points=tuple(_consistency(whole)),
        tables=tuple(_tables(whole, commits)),
        charts=(_chart(whole),),
        sections=(_mixed(whole), *_most_tried(whole)),
    )


def _by_difficulty(whole: Part) -> list[str]:
    """Commits by how few success rules any of their attempts meets, then by how many attempts they took."""
    every = whole.collection.by_commit

    def ease(commit: str) -> tuple[int, int, str]:
        met = sum(any(map(succeeds, every[commit])) for succeeds in SUCCESS.values())
        return met, -len(every[commit]), commit

    return sorted(every, key=ease)


def _solved(whole: Part) -> Sentence:
    states = whole.collection.history.states
    commits = whole.figure("commits")
    said = say("Of {} [commit|commits], those with a success by each rule: ", commits)
    some: list[Plain] = ["always", "mixed"]
    solved = [
        say(f"{_words(rule)} {{}}", whole.figure("commits", **{f"{rule}_at_commit": some}))
        if states[rule]
        else say(f"{_words(rule)} unknown")
        for rule in SUCCESS
    ]
    rate = say(
        " ({}; by the latest attempt {})",
        whole.figure("commits_recorded_rate"),
        whole.figure("commits_recorded_latest"),
    )
    return (*said, *joined([(*solved[0], *rate), *solved[1:]]), ".")


def _words(rule: str) -> str:
    return rule.replace("_", " ")


def _consistency(whole: Part) -> Iterator[Sentence]:
    """By each rule, how many commits with several attempts end alike in all of them."""
    several = whole.part(commit_attempts=">= 2")
    if not several.collection.entries:
        return
    yield say("Commits with several attempts: {}.", several.figure("commits"))
    for rule in SUCCESS:
        words = _words(rule).capitalize()
        if whole.collection.history.states[rule]:
            ends = [several.figure("commits", **{f"{rule}_at_commit": state}) for state in ("always", "mixed", "never")]
            yield say(f"{words}: {{}} succeed in every attempt, {{}} in some, {{}} in none.", *ends)
        else:
            yield say(f"{words}: it is known of none.")


def _tables(whole: Part, commits: Sequence[str]) -> Iterator[Table]:
    every = whole.collection.by_commit
    several = [((commit[:8],), whole.part(commit=commit)) for commit in commits if len(every[commit]) > 1]
    if several:
        note = (
            "The most difficult first: those of which attempts meet the fewest success rules, then those with most "
            "attempts."
        )
        yield table("Commits with several attempts", ("Commit",), _SEVERAL, several, note)
    one = [((commit[:8],), whole.part(commit=commit)) for commit in commits if len(every[commit]) == 1]
    if one:
        yield table("Commits with one attempt", ("Commit",), _ONE, one)


def _chart(whole: Part) -> Chart:
    numbers = sorted({len(every) for every in whole.collection.by_commit.values()})
    bars: dict[str, Plain]
    if len(numbers) <= _EACH:
        bars = {str(number): number for number in numbers}
    else:
        bars = {"1": 1, **{f"{a}–{b}": f"{a}..{b}" for a, b in _STEPS if a <= numbers[-1]}}
        if numbers[-1] > _STEPS[-1][1]:
            bars["more"] = f"> {_STEPS[-1][1]}"
    parts = ((label, whole.part(commit_attempts=number)) for label, number in bars.items())
    return chart("Commits by the attempts they took", "attempts at a commit", "commits", parts, "histogram")


def _mixed(whole: Part) -> Section:
    mixed = whole.part(recorded_at_commit="mixed")
    title = "Mixed outcomes"
    if not mixed.collection.entries:
        said = say("No commit has both recorded successes and recorded failures.")
        return Section(id="mixed-outcomes", title=title, paragraphs=((said,),))
    commits = mixed.figure("commits")
    sentences: list[Sentence] = [
        say(
            "{} [commit has|commits have] both recorded successes and recorded failures. Each failure is set beside "
            "the last success before it, or the first after it, and explained by the first of the reasons below that "
            "holds.",
            commits,
        ),
        say(
            "At {} of these commits no attempt is confirmed: what differs there is what was recorded.",
            mixed.figure("commits", confirmed_at_commit="never"),
        ),
    ]
    unexplained = mixed.part(mixed_because="unexplained")
    left = classes(unexplained.collection.entries)
    if left:
        pieces = [say("{} ({})", one, unexplained.figure("attempts", failure=one)) for one in left]
        sentences.append(("The unexplained failures by class: ", *joined(pieces), "."))
    lines = [((reason, words), mixed.part(mixed_because=reason)) for reason, words in _REASONS]
    columns = (("Failures", "attempts"), ("Commits", "commits"))
    found = table("Failures at commits with mixed outcomes", ("Explained by", "That is"), columns, lines)
    return Section(id="mixed-outcomes", title=title, paragraphs=(tuple(sentences),), tables=(found,))


def _most_tried(whole: Part) -> Iterator[Section]:
    """The commits with most attempts, one by one."""
    every = whole.collection.by_commit
    most = sorted(every, key=lambda commit: -len(every[commit]))[:_SHOWN]
    for commit, anchor in links("commit", most).items():
        if len(every[commit]) > 2:
            yield _one_by_one(whole.part(commit=commit), commit, anchor)


def _one_by_one(part: Part, commit: str, anchor: str) -> Section:
    entries = part.collection.entries
    lines = [((name(e.name),), part.part(attempt=e.name)) for e in entries[:_LISTED]]
    note = "The first of its attempts; all stand in their runs." if len(entries) > _LISTED else None
    found = [(words, part.figure(measure)) for words, measure in _FIRSTS]
    firsts = [say(f"{words} {{}}", first) for words, first in found if first.value is not None]
    points = [
        say("{} attempts in {} [run|runs]: {}.", part.figure("attempts"), part.figure("runs"), part.figure("sequence")),
        ("First success: ", *(joined(firsts, "; ") or ("none by any rule",)), "."),
        say("Last: {}.", part.figure("latest_status")),
    ]
    return Section(
        id=anchor,
        title=f"Commit {commit[:8]}",
        points=tuple(points),
        tables=(table("Its attempts, in the order of time", ("Attempt",), _ATTEMPT, lines, note),),
    )


_FIRSTS = (
    ("recorded", "first_success"),
    ("exit and patch", "first_exit_and_patch"),
    ("strict", "first_strict"),
    ("confirmed", "first_confirmed"),
    ("proven", "first_proven"),
)
"""The first success by each rule."""
