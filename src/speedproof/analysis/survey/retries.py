"""Attempts at commits that had been tried before: how many, what they changed, what they cost."""

from collections.abc import Iterator, Sequence

from speedproof.analysis.collection import Entry
from speedproof.analysis.collection.history import SUCCESS
from speedproof.analysis.survey.document import Section, Sentence, Table
from speedproof.analysis.survey.evidence import classes
from speedproof.analysis.survey.part import Part, table
from speedproof.analysis.survey.phrases import joined, say
from speedproof.analysis.survey.rules import COUNTS, RATES, SUCCESSES

_LISTED = 100
"""Commits without a success that are listed."""
_COLUMNS = (
    ("Attempts", "attempts"),
    ("Runs", "runs"),
    ("Sequence", "sequence"),
    *SUCCESSES[1:],
    ("List price", "list_price"),
)
_TURNS = ("first", "retry", "concurrent", None)


def retries_section(whole: Part) -> Section:
    """How often commits were tried, what a retry changed and after what, what retries cost, what was never solved."""
    title = "Retries"
    if not whole.collection.by_commit:
        said = say("No attempt names its commit: which are retries of which is unknown.")
        return Section(id="retries", title=title, paragraphs=((said,),))
    turns = {turn: whole.part(turn=turn) for turn in _TURNS}
    parts = [((turn or "unknown",), part) for turn, part in turns.items() if part.collection.entries]
    retries = turns["retry"]
    return Section(
        id="retries",
        title=title,
        paragraphs=(_tried(whole),),
        tables=(
            table("Attempts by their turn at a commit", ("Turn",), COUNTS, parts, _TURN_NOTE),
            table("The same as shares", ("Turn",), RATES, parts),
        ),
        sections=(_changed(retries), *_cost(whole, retries), _unsolved(whole)),
    )


_TURN_NOTE = (
    "A retry began when an earlier attempt at its commit had ended: its run did, or within its run it did. A "
    "concurrent attempt began before any other had ended; of those whose time or commit is unknown nothing can be told."
)


def _tried(whole: Part) -> tuple[Sentence, ...]:
    return (
        say(
            "Of {} [commit|commits] {} [was|were] attempted more than once: {} of these [was|were] tried again after "
            "an attempt had ended, {} only by runs that were under way at the same time.",
            whole.figure("commits"),
            whole.figure("commits_with_several_attempts"),
            whole.figure("commits_retried"),
            whole.figure("commits_only_concurrent"),
        ),
    )


def _changed(retries: Part) -> Section:
    if not retries.collection.entries:
        said = say("No attempt is a retry: none began after another one at its commit had ended.")
        return Section(id="retry-changes", title="What retries changed", paragraphs=((said,),))
    lost, won = retries.part(after_recorded=False), retries.part(after_recorded=True)
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
            table("Retries by the attempt before", ("Before",), (*COUNTS, ("List price", "list_price")), before),
            _by_failure(retries),
        ),
    )


def _before(part: Part) -> dict[str, list[Entry]]:
    """Class of the failure before → the retries, the most frequent first."""
    previous = part.collection.history.previous
    found: dict[str, list[Entry]] = {}
    for entry in part.collection.entries:
        failure = previous[entry.name].failure
        if failure is not None:
            found.setdefault(failure.value, []).append(entry)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _by_failure(retries: Part) -> Table:
    lines = [((failure,), retries.part(after_failure=failure)) for failure in _before(retries)]
    well = retries.part(after_failure=None)
    if well.collection.entries:
        lines.append((("none",), well))
    columns = (*COUNTS, ("Confirmed share", "confirmed_rate"))
    note = "The class is the diagnosis of the last attempt at the commit that had ended before the retry began."
    return table("Retries by the failure before", ("Failure before",), columns, lines, note)


def _helped(retries: Part) -> Iterator[Sentence]:
    """After which failures a retry led to a success that is confirmed, and after which to none."""
    groups = _before(retries)
    helped = {f: e for f, e in groups.items() if any(one.attempt.confirmed for one in e)}
    if helped:
        parts = [(f, retries.part(after_failure=f)) for f in helped]
        pieces = [say("{} ({} of {})", f, part.figure("confirmed"), part.figure("attempts")) for f, part in parts]
        yield ("Failures after which a retry led to a confirmed success: ", *joined(pieces), ".")
    never = [f for f in groups if f not in helped]
    if never:
        pieces = [say("{} ({})", f, retries.figure("attempts", after_failure=f)) for f in never]
        yield ("Failures after which no retry did: ", *joined(pieces), ".")


def _cost(whole: Part, retries: Part) -> Iterator[Section]:
    if not retries.collection.entries:
        return
    said = [
        say(
            "Retries are {} of {} [attempt|attempts] and cost {} of {} at list prices; they ran {} of {}.",
            *(part.figure(measure) for measure in ("attempts", "list_price", "wall_s") for part in (retries, whole)),
        )
    ]
    after = retries.figure("attempts", after_recorded=True)
    if after.value:
        words = "{} [retry|retries] followed a recorded success, at {}."
        said.append(say(words, after, retries.figure("list_price", after_recorded=True)))
    same = retries.figure("attempts", fault=["infrastructure", "model"])
    if same.value:
        words = "{} [retry|retries] failed through infrastructure or provider, at {}."
        said.append(say(words, same, retries.figure("list_price", fault=["infrastructure", "model"])))
    yield Section(id="retry-costs", title="What retries cost", paragraphs=(tuple(said),))


def _unsolved(whole: Part) -> Section:
    states = whole.collection.history.states
    never = [
        say(f"{rule.replace('_', ' ')} {{}}", whole.figure("commits", **{f"{rule}_at_commit": "never"}))
        if states[rule]
        else say(f"{rule.replace('_', ' ')} unknown")
        for rule in SUCCESS
    ]
    every = whole.collection.by_commit
    commits = [commit for commit in every if states["recorded"].get(commit) == "never"]
    commits.sort(key=lambda commit: -len(every[commit]))
    lines = [((commit[:8], _causes(every[commit])), whole.part(commit=commit)) for commit in commits[:_LISTED]]
    note = "Those with the most attempts; all stand in the table of all commits." if len(commits) > _LISTED else None
    labels = ("Commit", "Why its attempts failed")
    return Section(
        id="never-solved",
        title="Commits never solved",
        paragraphs=((("Commits without any success, by each rule: ", *joined(never), "."),),),
        tables=(table("Commits without a recorded success", labels, _COLUMNS, lines, note),) if lines else (),
    )


def _causes(attempts: Sequence[Entry]) -> str:
    """The classes of the failures, the most frequent first."""
    found = classes(attempts)
    return ", ".join([*found[:3], "…"] if len(found) > 3 else found) or "–"
