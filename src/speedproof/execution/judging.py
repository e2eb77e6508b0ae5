"""Evaluating a run: the patches of all its attempts, task by task, by the method the run declared."""

from collections.abc import Callable

from speedproof.errors import InputError, RecordError
from speedproof.evaluation.judge import Judge
from speedproof.evaluation.prepared import PreparedTask, prepare_task
from speedproof.execution.host import host_facts
from speedproof.journal import AttemptStore, Evaluation, Method, RunStore
from speedproof.sandbox import Sandbox
from speedproof.tasks.suite import LoadedSuite
from speedproof.workspace.cache import Cache

Told = Callable[[str, str], None]
"""Told the task's name and, in one line, what is being done."""


def evaluate_run(
    run: RunStore,
    loaded: LoadedSuite,
    sandbox: Sandbox,
    cache: Cache,
    method: Method | None = None,
    *,
    again: bool = False,
    beside_agents: bool = False,
    prepared: dict[str, PreparedTask] | None = None,
    told: Told = lambda _task, _what: None,
) -> dict[str, Evaluation]:
    """Judge every sealed attempt that has no evaluation by this method yet, or, with `again`, all of them.

    `method` defaults to the declared one; only evaluations by the declared method count. `beside_agents`: measure
    although agents work on the machine, and record so. Returns the evaluations by attempt name. Raises InputError when
    the suite has changed since the run.
    """
    manifest = run.manifest()
    method = method or manifest.method
    waiting: dict[str, list[AttemptStore]] = {}
    base_trees: dict[str, set[str | None]] = {}
    for store in run.attempts():
        try:
            attempt = store.read()
        except RecordError as error:
            told(store.name, f"left out: {error.what}")
            continue
        base_trees.setdefault(attempt.task, set()).update({attempt.base_tree} - {None})
        if attempt.state == "sealed" and (again or not any(e.method == method for e in store.evaluations())):
            waiting.setdefault(attempt.task, []).append(store)
    digests = {item.task: item.task_digest for item in manifest.items}
    done: dict[str, Evaluation] = {}
    for name, stores in waiting.items():
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
        with Judge(
            ready,
            sandbox,
            method,
            host_facts(),
            declared=method == manifest.method,
            beside_agents=beside_agents,
            told=lambda what, name=name: told(name, what),  # type: ignore[misc]
        ) as judge:
            evaluations = judge.judge(patches)
        for store in stores:
            store.add_evaluation(evaluations[store.name])
        done |= evaluations
    return done
