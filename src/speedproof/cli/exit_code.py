"""Exit codes: what `run` and `resume` say of a run that is over, and `audit` and `claims check` of what they found."""

from collections.abc import Iterable

from speedproof.analysis import Row
from speedproof.execution.progress_record import Progress

ALL_PROVEN = 0
SOME_NOT_PROVEN = 1
INFRASTRUCTURE_FAILED = 3
FINDINGS = 1
"""2 means, as everywhere, that the user can mend what was given; 130 that the run was interrupted."""


def exit_code(rows: Iterable[Row], progress: Progress, *, controls: bool = False) -> int:
    """The exit code of a run that is over.

    3 when the infrastructure or a provider kept an item from a result: it is not done, its lane is open, or its last
    attempt ended so after all retries. Else 1 when an item whose agent calls a model has no proven attempt. Else 0:
    controls (patch:noop and its like) are there to be measured, not to be proven, unless `controls` says otherwise.
    """
    unfinished = progress.items["done"] < progress.total or any(lane.opened for lane in progress.lanes)
    if unfinished or not {"infra_error", "model_error"}.isdisjoint(progress.outcomes):
        return INFRASTRUCTURE_FAILED
    proven: dict[str, bool] = {}
    for row in rows:
        if row.model is not None or controls:
            proven[row.item] = proven.get(row.item, False) or row.proven is True
    return ALL_PROVEN if all(proven.values()) else SOME_NOT_PROVEN
