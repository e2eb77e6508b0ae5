"""Rules on how attempts are recorded to have ended, beside what their files say."""

from collections.abc import Iterator

from speedproof.analysis.audit.finding import Found, Place, Unseen, at, counted, fact, known, patch, recorded, shown
from speedproof.analysis.audit.rule import rule
from speedproof.analysis.audit.subject import Subject, worked
from speedproof.analysis.collection import Entry

_LEAVES_A_PATCH = ("perf-agents-bench", "swe-bench-predictions", "speedproof")
"""Layouts in which an attempt without a file of its patch has none."""
_RECOUNT = "Count it by exit_and_patch, strict or confirmed, not by the recorded status."


def _of(subject: Subject, *, success: bool) -> Iterator[Entry]:
    return (entry for entry in subject.foreign if entry.recorded is success)


def _silent(subject: Subject) -> Iterator[Unseen]:
    """The attempts that record no status; our own claim none, they have evidence instead."""
    silent = sum(entry.recorded is None for entry in subject.foreign)
    if silent:
        yield Unseen("their archive records no status", silent)


def _cause(entry: Entry) -> tuple[Place, ...]:
    diagnosis = entry.attempt.diagnosis
    return () if diagnosis is None else tuple(shown(entry, each) for each in diagnosis.evidence)


@rule(
    "success-nonzero-exit",
    "error",
    "Success with a non-zero exit",
    why="The agent's process failed or was killed; whatever it left may be half done.",
    do=_RECOUNT,
)
def nonzero_exit(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and the process failed."""
    unknown = 0
    for entry in _of(subject, success=True):
        code = entry.attempt.recorded.exit_code
        if code:
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            yield Found(f"recorded as success, and its process {ended}", (entry,), recorded(entry, ".returncode"))
        unknown += code is None
    if unknown:
        yield Unseen("recorded as success without an exit code", unknown)
    yield from _silent(subject)


@rule(
    "success-empty-patch",
    "error",
    "Success without a patch",
    why="Nothing was changed, so nothing can have become faster.",
    do=_RECOUNT,
)
def empty_patch(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and no patch bytes."""
    for entry in _of(subject, success=True):
        status = entry.attempt.patch_status
        if status == "empty" or (status == "missing" and entry.attempt.layout in _LEAVES_A_PATCH):
            what = "its patch is empty" if status == "empty" else "there is no patch"
            yield Found(f"recorded as success, and {what}", (entry,), patch(entry) + recorded(entry))
    yield from _silent(subject)


@rule(
    "success-no-effect-patch",
    "error",
    "Success with a patch that has no effect",
    why="Comments, blank lines, scratch files or tests do not make a program faster.",
    do=_RECOUNT,
)
def no_effect_patch(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and a patch that changes no code."""
    what = {
        "no_effect": "its patch changes nothing but comments, blank lines and scratch",
        "tests_only": "its patch changes nothing but tests",
    }
    for entry in _of(subject, success=True):
        if entry.attempt.patch_status in what:
            said = f"recorded as success, and {what[entry.attempt.patch_status]}"
            yield Found(said, (entry,), patch(entry) + recorded(entry))
    yield from _silent(subject)


@rule(
    "success-no-step",
    "error",
    "Success without a step",
    why="The agent did nothing. A patch in its folder comes from somewhere else.",
    do="Leave it out, and look where its patch comes from (rule stale-workspace).",
)
def no_step(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and the agent took no step."""
    unknown = 0
    for entry in _of(subject, success=True):
        attempt = entry.attempt
        done = worked(entry)
        if done is False and not attempt.steps:
            ran = "" if attempt.wall_s is None else f" in {attempt.wall_s:.2f} s"
            said = f"recorded as success, and its files show no step, no answer and no token{ran}"
            yield Found(said, (entry,), _cause(entry) + recorded(entry, ".duration_s"))
        unknown += done is None
    if unknown:
        yield Unseen("recorded as success, and no file tells steps, answers or tokens", unknown)
    yield from _silent(subject)


@rule(
    "success-no-output",
    "error",
    "Success without an output token",
    why="No model wrote anything: its calls failed, as with an expired login. The agent cannot have done the work.",
    do="Leave it out: it says nothing of the agent. Mend the cause at the evidence and run the item again.",
)
def no_output(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and every call failed, or no answer had a token."""
    unknown = 0
    for entry in _of(subject, success=True):
        attempt = entry.attempt
        done = worked(entry)
        if done is False and (attempt.usage.output == 0 or attempt.calls or attempt.steps):
            calls = (
                f"of its {counted(attempt.calls, 'call')} none was answered" if attempt.calls else "no token came out"
            )
            why = "" if attempt.diagnosis is None else f": {attempt.diagnosis.message}"
            yield Found(f"recorded as success, and {calls}{why}", (entry,), _cause(entry) + recorded(entry))
        unknown += done is None
    if unknown:
        yield Unseen("recorded as success, and no file tells answers or tokens", unknown)
    yield from _silent(subject)


@rule(
    "success-agent-failed",
    "error",
    "Success against the agent's own word",
    why="The agent's own record says that it did not succeed. It knows best whether it came to its end.",
    do=_RECOUNT,
)
def agent_failed(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and the agent says otherwise."""
    unknown = 0
    for entry in _of(subject, success=True):
        outcome = entry.attempt.outcome
        if outcome is not None and outcome.claims_success is False:
            why = f": {outcome.error}" if outcome.error else ""
            yield Found(f"recorded as success; the agent says it failed{why}", (entry,), _own_word(entry))
        unknown += outcome is None or outcome.claims_success is None
    if unknown:
        yield Unseen("recorded as success, and the agent says nothing of its success", unknown)
    yield from _silent(subject)


def _own_word(entry: Entry) -> tuple[Place, ...]:
    outcome = entry.attempt.outcome
    if outcome is not None and outcome.error_file is not None:
        first = at(entry, outcome.error_file, line=outcome.error_line, text=outcome.error or "")
        return (first, *_cause(entry), *recorded(entry))
    return (*_cause(entry), *recorded(entry))


@rule(
    "success-with-cause",
    "error",
    "Success though something ended the attempt",
    why="A cause of failure stands in its files: the work was cut off, however good what lies there looks.",
    do="Read the cause at the evidence. " + _RECOUNT,
)
def with_cause(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and the rules of diagnosis found what ended it."""
    for entry in _of(subject, success=True):
        diagnosis = entry.attempt.diagnosis
        if entry.attempt.run_status != "completed" and diagnosis is not None:
            said = f"recorded as success; {diagnosis.failure.value} ({diagnosis.confidence}): {diagnosis.message}"
            yield Found(said, (entry,), _cause(entry))
    yield from _silent(subject)


@rule(
    "success-with-error",
    "error",
    "Success with an error text",
    why="The record contradicts itself.",
    do="Read the error; one of the two is wrong.",
)
def with_error(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded success, and the same record holds an error."""
    for entry in _of(subject, success=True):
        error = entry.attempt.recorded.error
        if error:
            yield Found(
                f"recorded as success, with the error: {error}",
                (entry,),
                recorded(entry) + known(entry, "journal.json:error"),
            )
    yield from _silent(subject)


@rule(
    "failure-finished-patch",
    "warning",
    "Failure with a finished agent and a patch",
    why="The agent reached its end, says it succeeded, and left a patch: a harness that asks for a commit, or gives up "
    "too early, throws good work away.",
    do="Judge the patch like any other (`speedproof judge`), and find out what the harness missed.",
)
def finished_patch(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded failure, and all evidence of an attempt that did what it should."""
    for entry in _of(subject, success=False):
        outcome = entry.attempt.outcome
        if outcome is None or outcome.finished is not True or outcome.claims_success is False:
            continue
        if entry.attempt.patch_status == "present":
            size = entry.attempt.patch.size if entry.attempt.patch else 0
            said = f"recorded as failure; the agent finished and left a patch of {size:,} bytes"
            yield Found(said, (entry,), patch(entry) + recorded(entry, ".commit_count"))
    yield from _silent(subject)


@rule(
    "failure-without-error",
    "warning",
    "Failure without an error text, though the cause can be told",
    why="Who reads the record alone calls it impossible to diagnose. The cause stands in the logs.",
    do="Use the diagnosis: `speedproof errors` groups them by cause.",
)
def without_error(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded failure without a word why, and a cause in the logs."""
    for entry in _of(subject, success=False):
        diagnosis = entry.attempt.diagnosis
        if entry.attempt.recorded.error is None and diagnosis is not None and diagnosis.confidence != "weak":
            said = f"no error recorded; {diagnosis.failure.value} ({diagnosis.confidence}): {diagnosis.message}"
            yield Found(said, (entry,), _cause(entry))
    yield from _silent(subject)


@rule(
    "failure-unexplained",
    "note",
    "Failure that nothing explains",
    why="No error is recorded, and no file says what happened.",
    do="Keep the agent's logs whole next time: stdout, stderr and its own trajectory.",
)
def unexplained(subject: Subject) -> Iterator[Found | Unseen]:
    """Recorded failure, and no more than a guess why."""
    for entry in _of(subject, success=False):
        diagnosis = entry.attempt.diagnosis
        if entry.attempt.recorded.error is None and (diagnosis is None or diagnosis.confidence == "weak"):
            guess = "nothing says why" if diagnosis is None else f"the best guess: {diagnosis.message}"
            yield Found(f"recorded as failure; {guess}", (entry,), _cause(entry) or recorded(entry))
    yield from _silent(subject)


@rule(
    "edit-before-start",
    "error",
    "First edit before any model can have answered",
    why="No model answers within a second. The workspace was dirty when the attempt began, and the patch holds what "
    "was left there.",
    do="Leave it out of every rate. Give each attempt a fresh checkout.",
)
def edit_before_start(subject: Subject) -> Iterator[Found | Unseen]:
    """The harness itself saw a change at once."""
    for entry in subject.foreign:
        key = next((key for key in entry.attempt.facts if key.endswith("time_to_first_edit_s")), "")
        seconds = entry.attempt.facts.get(key)
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds < 1:
            said = f"its first edit is recorded {seconds:.3f} s after its beginning"
            yield Found(said, (entry,), (fact(entry, key),))


RULES = (
    nonzero_exit,
    empty_patch,
    no_effect_patch,
    no_step,
    no_output,
    agent_failed,
    with_cause,
    with_error,
    finished_patch,
    without_error,
    unexplained,
    edit_before_start,
)
