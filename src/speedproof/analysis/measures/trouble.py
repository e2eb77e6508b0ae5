"""What went wrong and what it took: groups of failures that something could have spared."""

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.measure import Value, count, count_where, measure


@measure("attempts")
def successes_unconfirmed(chosen: Collection) -> Value:
    """Attempts recorded as a success that are not confirmed: the exit code, the patch, the agent's own word or its
    calls say otherwise."""
    return count_where(chosen, lambda e: bool(e.recorded) and not e.attempt.confirmed)


@measure("attempts")
def successes_with_bad_exit(chosen: Collection) -> Value:
    """Attempts recorded as a success whose process ended with a signal or an exit code other than 0."""
    return count_where(chosen, lambda e: bool(e.recorded) and e.attempt.recorded.exit_code not in (0, None))


@measure("attempts")
def successes_without_patch(chosen: Collection) -> Value:
    """Attempts recorded as a success that left no patch bytes."""
    return count_where(chosen, lambda e: bool(e.recorded) and not e.patched)


@measure("attempts")
def successes_without_answer(chosen: Collection) -> Value:
    """Attempts recorded as a success of which no file shows an answer of the model: no call, no output token."""
    return count_where(chosen, lambda e: bool(e.recorded) and not e.attempt.usage.output and not e.called)


@measure("attempts")
def successes_denied_by_agent(chosen: Collection) -> Value:
    """Attempts recorded as a success whose agent says of itself that it failed."""
    return count_where(
        chosen,
        lambda e: bool(e.recorded) and e.attempt.outcome is not None and e.attempt.outcome.claims_success is False,
    )


@measure("attempts")
def failures_with_patch(chosen: Collection) -> Value:
    """Attempts recorded as a failure although the process ended with exit code 0 and left patch bytes."""
    return count_where(chosen, lambda e: e.recorded is False and e.attempt.exit_and_patch)


@measure("attempts")
def failures_before_any_call(chosen: Collection) -> Value:
    """Attempts that failed through the infrastructure, and of which no file shows a model call."""
    return count_where(chosen, lambda e: e.failure is not None and e.failure.fault == "infrastructure" and not e.called)


@measure("attempts")
def startup_failures(chosen: Collection) -> Value:
    """Attempts that ended with a signal or an exit code other than 0, and whose logs are there and show no step and no
    model call."""
    return count_where(chosen, failed_to_start)


@measure("attempts")
def failures_of_provider(chosen: Collection) -> Value:
    """Attempts that failed because the provider refused the key, the quota was used up or it did not answer."""
    return count_where(chosen, lambda e: e.failure is not None and e.failure.fault == "model")


@measure("attempts")
def failed_alike_before(chosen: Collection) -> Value:
    """Attempts that failed, through infrastructure or provider, in the same way as three before them in their run."""
    alike = chosen.history.alike
    return count(e for e in chosen.entries if e.name in alike)


@measure("attempts")
def expert_shown(chosen: Collection) -> Value:
    """Attempts whose prompt, log or trajectory shows something of the expert's change: its commit, its diff or a
    summary of it."""
    return count_where(chosen, lambda e: bool(e.attempt.expert_shown))


@measure("attempts")
def model_by_label_only(chosen: Collection) -> Value:
    """Attempts of which nothing but a label, or nothing at all, tells the model."""
    return count_where(chosen, lambda e: e.attempt.model.confidence in ("label", "none"))


@measure("attempts")
def labels_contradicted(chosen: Collection) -> Value:
    """Attempts whose label names another agent or model than their files show."""
    return count_where(chosen, lambda e: bool(e.attempt.agent.contradicted or e.attempt.model.contradicted))


def failed_to_start(entry: Entry) -> bool:
    """Whether an attempt ended badly, and its logs are there and show no step and no model call."""
    attempt = entry.attempt
    ended_badly = attempt.signal is not None or attempt.recorded.exit_code not in (0, None)
    logged = any(f.kind in ("log", "empty") and "std" in f.path for f in attempt.files)
    return ended_badly and logged and not attempt.steps and not entry.called and not attempt.usage.output
