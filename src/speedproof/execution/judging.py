"""Evaluating a run: the patches of all its attempts, task by task, by the method the run declared."""

from collections.abc import Callable, Collection, Mapping, Sequence
from traceback import format_exception

from speedproof.errors import (
    EnvironmentFailed,
    InputError,
    RecordError,
    SandboxError,
    SourceError,
    SpeedproofError,
    TaskError,
)
from speedproof.evaluation.checks import Known
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution.facts import harness_error
from speedproof.execution.host import host_facts
from speedproof.execution.method import require_known
from speedproof.execution.qualifying import before_judging
from speedproof.journal import AttemptStore, Evaluation, Method, RunStore
from speedproof.journal.attempt import HarnessError
from speedproof.sandbox import Sandbox
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache
from speedproof.workspace.patch import diff_trees

Told = Callable[[str, str], None]
"""Told the task's name and, in one line, what is being done."""
Failed = Callable[[str | None, HarnessError], None]
"""Told of a task whose patches could not be judged, or of none when it was no task's own failure."""
_OF_A_TASK = (SourceError, EnvironmentFailed, SandboxError, TaskError)
"""What keeps one task's patches from being judged and says nothing of another's."""


def evaluate_run(
    run: RunStore,
    loaded: LoadedSuite,
    sandbox: Sandbox,
    cache: Cache,
    method: Method | None = None,
    *,
    again: bool = False,
    beside_agents: bool = False,
    coverage: bool = False,
    prepared: dict[str, PreparedTask] | None = None,
    told: Told = lambda _task, _what: None,
    failed: Failed = lambda _task, _error: None,
) -> dict[str, Evaluation]:
    """Judge every sealed attempt that has no evaluation by this method yet, or, with `again`, all of them.

    `method` defaults to the declared one; only evaluations by the declared method count. `beside_agents`: measure
    although agents work on the machine, and record so. `coverage`: tell which changed lines tests and workloads
    execute. Returns the evaluations by attempt name. Raises InputError when the suite has changed since the run, or
    when this Speedproof does not know the declared method. Where a task cannot be prepared or measured, the others are
    judged before its error is raised.
    """
    manifest = run.manifest()
    method = method or manifest.method
    require_known(method)
    waiting: dict[str, list[AttemptStore]] = {}
    base_trees: dict[str, set[str | None]] = {}
    for store in run.attempts():
        try:
            attempt, judged = store.read(), any(e.method == method for e in store.evaluations())
        except RecordError as error:
            told(store.name, f"left out: {error.what}")
            continue
        base_trees.setdefault(attempt.task, set()).update({attempt.base_tree} - {None})
        if attempt.state == "sealed" and (again or not judged):
            waiting.setdefault(attempt.task, []).append(store)
    controls = {item.id for item in manifest.items if item.control is not None}
    made = _patches(run, controls) if waiting else {}
    digests = {item.task: item.task_digest for item in manifest.items}

    def judge(name: str, stores: Sequence[AttemptStore]) -> dict[str, Evaluation]:
        task = loaded.task(name)
        if loaded.task_digest(task) != digests[name]:
            raise InputError(
                f"task {name} is not what it was when run {run.id} was planned",
                file=loaded.file,
                hint="bring back the suite of that time, or start a new run",
            )
        told(name, "preparing to judge")
        ready = (prepared or {}).get(name) or prepare_task(loaded, task, cache)
        if base_trees[name] - {ready.commits.base_tree}:
            raise InputError(
                f"task {name}: its base commit is not the one that run {run.id} began from",
                file=loaded.file,
                hint="name base and expert by their full commit ids: a branch or tag has moved",
            )
        patches: dict[str, bytes | None] = {}
        for store in stores:
            file = store.folder / "patch.diff"
            patches[store.name] = file.read_bytes() if file.exists() else None
        before_judging(
            run,
            ready,
            len({patch for patch in patches.values() if patch}),
            sandbox,
            cache,
            method,
            lambda what: told(name, what),
        )
        with Judge(
            ready,
            sandbox,
            method,
            host_facts(),
            declared=method == manifest.method,
            beside_agents=beside_agents,
            coverage=coverage,
            told=lambda what: told(name, what),
        ) as judging:
            evaluations = judging.judge(
                patches,
                known=_known(made, name, ready),
                given={store.name for store in stores if store.folder.parent.name in controls},
            )
        for store in stores:
            store.add_evaluation(evaluations[store.name])
        return evaluations

    done: dict[str, Evaluation] = {}
    first: SpeedproofError | None = None
    for name, stores in waiting.items():
        try:
            done |= judge(name, stores)
        except _OF_A_TASK as error:
            failed(name, harness_error(error, "evaluate", ""))
            told(name, f"not judged: {error.what}")
            first = first or error
        except Exception as error:
            trace = "" if isinstance(error, SpeedproofError) else "".join(format_exception(error))
            failed(None, harness_error(error, "evaluate", trace))
            raise
    if first is not None:
        raise first
    return done


def _patches(run: RunStore, controls: Collection[str]) -> dict[tuple[str, str], bytes]:
    """The patch of each attempt of an agent, by task and the attempt's name."""
    tasks = {item.id: item.task for item in run.manifest().items}
    found: dict[tuple[str, str], bytes] = {}
    for store in run.attempts():
        item, file = store.folder.parent.name, store.folder / "patch.diff"
        if item not in controls and file.exists() and (patch := file.read_bytes()).strip():
            found[tasks[item], store.name] = patch
    return found


def _known(made: Mapping[tuple[str, str], bytes], task: str, ready: PreparedTask) -> list[Known]:
    """What patches of `task` are compared with: the expert's change, those of this run's other attempts."""
    commits = ready.commits
    known = [Known(name, "attempt" if of == task else "other_commit", patch) for (of, name), patch in made.items()]
    if commits.expert_tree is not None:
        change = diff_trees(commits.repository, commits.base_tree, commits.expert_tree)
        known.append(Known("the expert's change", "expert", change))
    return known
