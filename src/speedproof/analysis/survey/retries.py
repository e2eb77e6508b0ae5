"""Attempts at commits that had been tried before: how many, what they changed, what they cost."""

from collections.abc import Iterator, Sequence

from speedproof.analysis.collection import Entry
from speedproof.analysis.measures.history import SUCCESS, history
from speedproof.analysis.survey.document import Section, Sentence, Table
from speedproof.analysis.survey.making import Maker
from speedproof.analysis.survey.part import Part, stacked
from speedproof.analysis.survey.phrases import classes, joined, noun, say
from speedproof.analysis.survey.rules import COUNTS, RATES

_LISTED = 100
"""Commits without a success that are listed."""
_COLUMNS = (
    ("Attempts", "attempts"),
    ("Runs", "runs"),
    ("Sequence", "sequence"),
    *COUNTS[2:],
    ("List price", "list_price"),
)
_TURNS = ("first", "retry", "concurrent", None)


def retries_section(maker: Maker) -> Section:
    """How often commits were tried, what a retry changed and after what, what retries cost, what was never solved."""
    title = "Retries"
    if not maker.collection.by_commit:
        said = say("No attempt names its commit: which are retries of which is unknown.")
        return Section(id="retries", title=title, paragraphs=((said,),))
    parts = [((turn or "unknown",), Part(maker, turn=turn)) for turn in _TURNS]
    retries = parts[1][1]
    return Section(
        id="retries",
        title=title,
        paragraphs=(_tried(maker),),
        tables=(
            stacked("Attempts by their turn at a commit", ("Turn",), COUNTS, parts, _TURN_NOTE),
            stacked("The same as shares", ("Turn",), RATES, parts),
        ),
        sections=(_changed(retries), _cost(maker, retries), _unsolved(maker)),
    )


_TURN_NOTE = (
    "A retry began when an earlier attempt at its commit had ended: its run did, or within its run it did. A "
    "concurrent attempt began before any other had ended; of those whose time or commit is unknown nothing can be told."
)


def _tried(maker: Maker) -> tuple[Sentence, ...]:
    commits, several = maker.figure("commits"), maker.figure("commits_with_several_attempts")
    return (
        say(
            "Of {} " + noun(commits, "commit") + ", {} were attempted more than once: {} of these were "
            "tried again after an attempt had ended, {} only by runs that were under way at the same time.",
            commits,
            several,
            maker.figure("commits_retried"),
            maker.figure("commits_only_concurrent"),
        ),
    )


def _changed(retries: Part) -> Section:
    if not retries.collection.entries:
        said = say("No attempt is a retry: none began after another one at its commit had ended.")
        return Section(id="retry-changes", title="What retries changed", paragraphs=((said,),))
    lost, won = Part(retries, after_recorded=False), Part(retries, after_recorded=True)
    said = say(
        "Of retries after a recorded failure, recorded as a success: {} of {}; of those after a recorded success, "
        "recorded as a failure: {} of {}. Confirmed: {} and {}.",
        lost.figure("recorded_successes"),
        lost.figure("attempts"),
        won.figure("recorded_failures"),
        won.figure("attempts"),
        lost.figure("confirmed"),
        won.figure("confirmed"),
    )
    before = [(("recorded failure",), lost), (("recorded success",), won)]
    return Section(
        id="retry-changes",
        title="What retries changed",
        paragraphs=((said,),),
        points=tuple(_helped(retries)),
        tables=(
            stacked("Retries by the attempt before", ("Before",), (*COUNTS, ("List price", "list_price")), before),
            _by_failure(retries),
        ),
    )


def _before(part: Part) -> dict[str, list[Entry]]:
    """Class of the failure before → the retries, the most frequent first."""
    previous = history(part.collection).previous
    found: dict[str, list[Entry]] = {}
    for entry in part.collection.entries:
        failure = previous[entry.name].failure
        if failure is not None:
            found.setdefault(failure.value, []).append(entry)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _by_failure(retries: Part) -> Table:
    lines = [((failure,), Part(retries, after_failure=failure)) for failure in _before(retries)]
    well = Part(retries, after_failure=None)
    if well.collection.entries:
        lines.append((("none",), well))
    columns = (*COUNTS, ("Confirmed share", "confirmed_rate"))
    note = "The class is the diagnosis of the last attempt at the commit that had ended before the retry began."
    return stacked("Retries by the failure before", ("Failure before",), columns, lines, note)


def _helped(retries: Part) -> Iterator[Sentence]:
    """After which failures a retry led to a success that is confirmed, and after which to none."""
    groups = _before(retries)
    helped = {f: e for f, e in groups.items() if any(one.attempt.confirmed for one in e)}
    if helped:
        parts = [(f, Part(retries, after_failure=f)) for f in helped]
        pieces = [say("{} ({} of {})", f, part.figure("confirmed"), part.figure("attempts")) for f, part in parts]
        yield ("Failures after which a retry led to a confirmed success: ", *joined(pieces), ".")
    never = [f for f in groups if f not in helped]
    if never:
        pieces = [say("{} ({})", f, retries.figure("attempts", after_failure=f)) for f in never]
        yield ("Failures after which no retry did: ", *joined(pieces), ".")


def _cost(maker: Maker, retries: Part) -> Section:
    said = [
        say(
            "Retries are {} of {} attempts and cost {} of {} at list prices; they ran {} of {}.",
            *(part.figure(measure) for measure in ("attempts", "list_price", "wall_s") for part in (retries, maker)),
        )
    ]
    after = retries.figure("attempts", after_recorded=True)
    if after.value:
        words = "{} " + noun(after, "retry", "retries") + " followed a recorded success, at {}."
        said.append(say(words, after, retries.figure("list_price", after_recorded=True)))
    same = retries.figure("attempts", fault=["infrastructure", "model"])
    if same.value:
        words = "{} " + noun(same, "retry", "retries") + " failed through infrastructure or provider, at {}."
        said.append(say(words, same, retries.figure("list_price", fault=["infrastructure", "model"])))
    return Section(id="retry-costs", title="What retries cost", paragraphs=(tuple(said),))


def _unsolved(maker: Maker) -> Section:
    states = history(maker.collection).states
    never = [
        say(f"{rule.replace('_', ' ')} {{}}", maker.figure("commits", **{f"{rule}_at_commit": "never"}))
        if states[rule]
        else say(f"{rule.replace('_', ' ')} unknown")
        for rule in SUCCESS
    ]
    every = maker.collection.by_commit
    commits = [commit for commit in every if states["recorded"].get(commit) == "never"]
    commits.sort(key=lambda commit: -len(every[commit]))
    lines = [((commit[:8], _causes(every[commit])), Part(maker, commit=commit)) for commit in commits[:_LISTED]]
    note = "Those with the most attempts; all stand in the table of all commits." if len(commits) > _LISTED else None
    labels = ("Commit", "Why its attempts failed")
    return Section(
        id="never-solved",
        title="Commits never solved",
        paragraphs=((("Commits without any success, by each rule: ", *joined(never), "."),),),
        tables=(stacked("Commits without a recorded success", labels, _COLUMNS, lines, note),) if lines else (),
    )


def _causes(attempts: Sequence[Entry]) -> str:
    """The classes of the failures, the most frequent first."""
    found = classes(attempts)
    return ", ".join([*found[:3], "…"] if len(found) > 3 else found) or "–"
