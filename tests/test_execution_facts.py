"""What the record says when the harness itself fails."""

from pathlib import Path

import pytest

from speedproof.diagnosis.harness import classify
from speedproof.errors import SourceError
from speedproof.execution.facts import Facts
from speedproof.journal import AttemptStore, FailureClass
from speedproof.journal.base import now
from speedproof.workspace.git import GitError
from speedproof.workspace.patch import PatchError

UNKNOWN = FailureClass.DEFECT


@pytest.mark.parametrize(
    ("error", "kind", "failure"),
    [
        (GitError("git fetch failed: x", code=1, stderr="x"), "SourceError", FailureClass.CONFIG_INVALID),
        (GitError("No space left on device", code=1, stderr=""), "SourceError", FailureClass.DISK_FULL),
        (GitError("Could not resolve host", code=1, stderr=""), "SourceError", FailureClass.NETWORK),
        (SourceError("x"), "SourceError", FailureClass.CONFIG_INVALID),
        (PatchError("x"), "SpeedproofError", UNKNOWN),
        (FileNotFoundError(2, "x"), "FileNotFoundError", UNKNOWN),
        (ZeroDivisionError("x"), "ZeroDivisionError", UNKNOWN),
    ],
)
def test_an_error_is_recorded_as_the_nearest_one_that_diagnosis_knows(
    tmp_path: Path, error: Exception, kind: str, failure: FailureClass
) -> None:
    fields = {"run": "r", "item": "i", "number": 1, "task": "t", "agent": "a", "model": None, "sample": 1}
    facts = Facts(AttemptStore(tmp_path), {**fields, "opened_at": now()})
    facts.enter("queued")

    def fail() -> None:
        raise error

    with facts.failures():
        fail()
    recorded = facts.fields["error"]
    assert recorded.kind == kind
    assert classify(recorded)[0] is failure
