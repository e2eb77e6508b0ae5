"""How many there are, and of what."""

from speedproof.analysis.collection import Collection
from speedproof.analysis.measures.measure import Value, count, count_where, measure, over, the_one


@measure("attempts")
def attempts(chosen: Collection) -> Value:
    """Attempts of agents. Second copies and controls do not count."""
    return count(chosen.entries)


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
    return Value(len({e.attempt.run for e in chosen.entries}), chosen.entries)


@measure("runs")
def runs_with_recorded_success(chosen: Collection) -> Value:
    """Runs in which at least one attempt is recorded as a success."""
    winners = tuple(e for e in chosen.entries if e.recorded)
    return Value(len({e.attempt.run for e in winners}), winners)


@measure("attempts")
def largest_run(chosen: Collection) -> Value:
    """Attempts in the run that has most of them."""
    members = max(chosen.by_run.values(), key=lambda every: len(every), default=None)
    return Value(None, why="there is no attempt") if members is None else count(members)


@measure("commits")
def commits(chosen: Collection) -> Value:
    """Different expert commits that the attempts work on."""
    known = tuple(e for e in chosen.entries if e.attempt.commit)
    unknown = tuple(e for e in chosen.entries if not e.attempt.commit)
    return Value(len({e.attempt.commit for e in known}), known, unknown)


@measure("steps")
def steps(chosen: Collection) -> Value:
    """Steps of the agents, by their trajectory, else the greatest number in their log; summed."""
    return over(chosen, lambda e: e.attempt.steps, sum)


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
