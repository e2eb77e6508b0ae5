"""Taking up what a killed harness left: its processes are ended, its open attempts sealed with what they left.

It needs neither the suite nor the agent's program: an attempt's own folder of work says what there is to collect. A
kill of the process that recovers is recovered by the next one.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from speedproof.agents.registry import get_agent
from speedproof.diagnosis import RULES, derive
from speedproof.errors import RecordError, SourceError
from speedproof.execution.collecting import collect_evidence, collect_patch
from speedproof.execution.facts import Facts
from speedproof.execution.scratch import all_scratch, scratch_of
from speedproof.journal import Attempt, AttemptStore, ItemPlan, RunStore, Status, Transition
from speedproof.journal.attempt import Stage
from speedproof.journal.base import now
from speedproof.journal.events import AttemptSealed, Event, Judged, JudgingBegan
from speedproof.journal.files import remove_unfinished
from speedproof.sandbox.cgroups import left_groups
from speedproof.sandbox.orphans import end_orphans
from speedproof.workspace.cache import Cache
from speedproof.workspace.checkout import Workspace
from speedproof.workspace.leftovers import clear_folder, end_work_in

GONE = "the harness that worked on it was gone"
DAMAGED = "attempt.json.damaged"
"""What cannot be read of an attempt's facts, kept beside those that could be told."""


def recover(run: RunStore, cache: Cache, events: Iterable[Event]) -> Iterator[tuple[AttemptStore, Status]]:
    """Seal every attempt of which the scheduler's log, `events`, does not say that it is sealed; each once it is.

    The run's lock must be held: nobody works on them. One that a kill left open is `crashed` and keeps its patch; one
    that was sealed already is only given its status where that is missing. Raises RecordError when the disk refuses,
    or a workspace cannot be mounted again: nothing is lost then, and the next call goes on.
    """
    events, stores = list(events), list(run.attempts())
    sealed = {(event.item, event.number) for event in events if isinstance(event, AttemptSealed)}
    left = [store for store in stores if (store.folder.parent.name, int(store.folder.name)) not in sealed]
    remove_unfinished(run.folder)
    for store in stores if _judging_was_cut_off(events) else left:
        remove_unfinished(store.folder)
    if not left:
        return
    end_left_of(run, cache)
    items = {item.id: item for item in run.manifest().items}
    for store in left:
        attempt = _read(store)
        if attempt is None or attempt.state == "open":
            _Recovery(store, items[store.folder.parent.name], attempt, cache).seal()
            yield store, _derived(store)
        else:
            yield store, _known(store) or _derived(store)


def end_left_of(run: RunStore, cache: Cache) -> int:
    """End what still runs of harnesses that are gone, this run's among them; how many processes there were.

    The run's lock must be held. Raises SandboxError when one does not end.
    """
    ended = end_orphans()
    for group in left_groups():
        ended += len(group.kill())
        group.remove()
    return ended + sum(end_work_in(scratch.folder) for scratch in all_scratch(cache, run.id))


def _judging_was_cut_off(events: Iterable[Event]) -> bool:
    last = None
    for event in events:
        last = event if isinstance(event, JudgingBegan | Judged) else last
    return isinstance(last, JudgingBegan)


def _read(store: AttemptStore) -> Attempt | None:
    """The facts; null when there are none, or none that can be read: these are kept beside."""
    path = store.folder / "attempt.json"
    if not path.exists():
        return None
    try:
        return store.read()
    except RecordError:
        path.rename(store.folder / DAMAGED)
        return None


class _Recovery:
    """One attempt that a kill left open."""

    def __init__(self, store: AttemptStore, item: ItemPlan, attempt: Attempt | None, cache: Cache) -> None:
        """`attempt`: its facts so far; null when there are none that can be read."""
        self.item, self.cache = item, cache
        self.facts = _facts(store, item, attempt)
        self.scratch = scratch_of(store, cache)
        self._reached: Stage = attempt.transitions[-1].stage if attempt and attempt.transitions else "queued"
        self._causes = [GONE]
        """What is to be said of the next transition."""
        if (store.folder / DAMAGED).exists():
            self._causes.append(f"what was on record could not be read, and is kept as {DAMAGED}")
            self._reached = "running"  # it may have been: the workspace tells

    def seal(self) -> None:
        """Collect what it left, seal it, and remove what it worked in. Raises RecordError when it must stay open."""
        if self._reached == "running":
            self._enter("stopping")
        if self._reached == "stopping":
            self._collect()
            self._enter("collected")
        if self.scratch is not None:
            with self.facts.failures():
                clear_folder(self.scratch.folder)
        self._enter("sealed")

    def _enter(self, stage: Stage) -> None:
        self.facts.enter(stage, "; ".join(self._causes) or None)
        self._reached, self._causes = stage, []

    def _collect(self) -> None:
        """Take what was left. What cannot be taken is on record as the harness's failure, but for want of space."""
        facts, scratch, failed = self.facts, self.scratch, self.facts.failed
        workspace = self._workspace()
        if scratch is None or workspace is None:
            return
        if not scratch.is_of_this_boot:
            self._causes.append("the machine was started anew since: what was written last may be missing")
        facts.fields["base_tree"] = workspace.base.tree
        with facts.failures():
            collect_patch(facts, workspace, workspace.base.folder / ".git", scratch.protected, scratch)
        with facts.failures():
            patch = b"" if self.item.agent == "patch" else None
            collect_evidence(facts, get_agent(self.item.agent, cache=self.cache, patch=patch), scratch)
        if facts.lacks_space and not failed:
            raise facts.unsealed()

    def _workspace(self) -> Workspace | None:
        """Its workspace; null when there is none any more, and the next transition says so."""
        found = None
        try:
            found = None if self.scratch is None else Workspace.taken_up(self.scratch.tree)
        except SourceError as error:
            self._causes.append(error.what)
        else:
            if found is None:
                self._causes.append("its workspace was gone")
        return found


def _facts(store: AttemptStore, item: ItemPlan, attempt: Attempt | None) -> Facts:
    """What is known of an attempt: its facts so far, or what its folder and the run's manifest say."""
    if attempt is not None:
        fields = {name: getattr(attempt, name) for name in type(attempt).model_fields}
        fields["recovered_at"] = attempt.recovered_at or now()
        if attempt.error is None:
            del fields["error"]
        return Facts(store, fields, attempt.transitions)
    opened = datetime.fromtimestamp(store.folder.stat().st_mtime, UTC)
    fields = {
        "run": store.folder.parents[2].name,
        "item": item.id,
        "number": int(store.folder.name),
        "task": item.task,
        "agent": item.agent,
        "model": item.model,
        "sample": item.sample,
        "control": item.control,
        "opened_at": opened,
        "recovered_at": now(),
    }
    return Facts(store, fields, [Transition(stage="queued", at=opened)])


def _known(store: AttemptStore) -> Status | None:
    """The status on record; null when there is none, or it is damaged: it is then derived once more."""
    try:
        return store.status(RULES)
    except RecordError:
        return None


def _derived(store: AttemptStore) -> Status:
    status = derive(store)
    store.write_status(status)
    return status
