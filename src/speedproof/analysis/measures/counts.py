"""How many there are, and of what."""

from dataclasses import replace

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.measure import (
    Value,
    count,
    count_groups,
    count_where,
    measure,
    over,
    share,
    summed,
    the_one,
)


@measure("attempts")
def attempts(chosen: Collection) -> Value:
    """Attempts of agents. Second copies and controls do not count."""
    return count(chosen.entries)


@measure("%")
def share_of_attempts(chosen: Collection) -> Value:
    """The chosen attempts, of all there are."""
    return replace(share(attempts.of(chosen), attempts.of(chosen.whole or chosen)), counted=chosen.entries)


@measure("attempts")
def attempts_with_journal(chosen: Collection) -> Value:
    """Attempts that have a valid journal or a record of their own."""
    return count_where(chosen, lambda e: e.attempt.journal)


@measure("attempts")
def attempts_with_patch_file(chosen: Collection) -> Value:
    """Attempts that have a file for their patch, empty or not."""
    return count_where(chosen, lambda e: e.attempt.patch is not None)


@measure("attempts")
def attempts_with_log(chosen: Collection) -> Value:
    """Attempts that have a console log of their agent, empty or not."""
    return count_where(chosen, lambda e: any(f.kind in ("log", "empty") and "std" in f.path for f in e.attempt.files))


@measure("runs")
def runs(chosen: Collection) -> Value:
    """Runs that the attempts belong to."""
    return count_groups(chosen.by_run.values())


@measure("runs")
def runs_with_recorded_success(chosen: Collection) -> Value:
    """Runs in which at least one attempt is recorded as a success."""
    return count_groups(every for every in chosen.by_run.values() if any(e.recorded for e in every))


@measure("attempts")
def largest_run(chosen: Collection) -> Value:
    """Attempts in the run that has most of them."""
    members = max(chosen.by_run.values(), key=lambda every: len(every), default=None)
    return Value(None, why="there is no attempt") if members is None else count(members)


@measure("commits")
def commits(chosen: Collection) -> Value:
    """Different expert commits that the attempts work on."""
    unknown = tuple(e for e in chosen.entries if not e.attempt.commit)
    if unknown and not chosen.by_commit:
        return Value(None, (), unknown, "no attempt names its commit")
    return count_groups(chosen.by_commit.values(), unknown)


@measure("steps")
def steps(chosen: Collection) -> Value:
    """Steps of the agents, by their trajectory, else the greatest number in their log; summed."""
    return summed(chosen, lambda e: e.attempt.steps)


@measure("steps")
def steps_most(chosen: Collection) -> Value:
    """The most steps that one attempt took."""
    return over(chosen, lambda e: e.attempt.steps, max)


@measure("text")
def commit(chosen: Collection) -> Value:
    """The expert's commit, where all attempts work on one."""
    return the_one(chosen, lambda e: e.attempt.commit)


@measure("text")
def agent(chosen: Collection) -> Value:
    """The agent, by evidence or else by label, where all attempts have one."""
    return the_one(chosen, lambda e: e.attempt.agent.value)


@measure("text")
def model(chosen: Collection) -> Value:
    """The model, by evidence or else by label, where all attempts have one."""
    return the_one(chosen, lambda e: e.attempt.model.value)
