"""The growing attempt.json: facts as they become known, stages as they are entered, failures as they happen."""

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from speedproof.diagnosis.harness import classify
from speedproof.errors import RecordError, SpeedproofError
from speedproof.journal import Attempt, AttemptStore, FailureClass, Transition
from speedproof.journal.attempt import ACTIVITY, HarnessError, Stage
from speedproof.journal.base import now
from speedproof.journal.redaction import redact


class Facts:
    """What is known of one attempt so far; the only writer of its attempt.json."""

    def __init__(self, store: AttemptStore, fields: dict[str, Any], transitions: Iterable[Transition] = ()) -> None:
        """`transitions`: what it went through already, when another process began it."""
        self.store = store
        self.fields = fields
        self._transitions = list(transitions)

    def enter(self, stage: Stage, cause: str | None = None) -> None:
        """Note a transition and write what is known. Raises RecordError."""
        self._transitions.append(Transition(stage=stage, at=now(), cause=cause))
        sealed = {"state": "sealed", "sealed_at": now()} if stage == "sealed" else {"state": "open"}
        self.store.write(Attempt.model_validate({**self.fields, **sealed, "transitions": tuple(self._transitions)}))

    @property
    def failed(self) -> bool:
        """Whether the harness itself has failed."""
        return "error" in self.fields

    @property
    def lacks_space(self) -> bool:
        """Whether the harness has failed because a disk was full."""
        return self.failed and classify(self.fields["error"])[0] is FailureClass.DISK_FULL

    def unsealed(self) -> RecordError:
        """What to raise when the attempt must stay open, because what it left cannot be recorded now."""
        return RecordError(
            f"attempt {self.store.name} cannot be sealed: {self.fields['error'].message}",
            hint="free disk space, then `speedproof resume`: what it left is kept until then",
        )

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Record what the block raises instead of letting it out; the first failure is the one that is kept.

        An error of ours is recorded with its message, anything else is a bug and keeps its traceback.
        """
        try:
            yield
        except (SpeedproofError, OSError, MemoryError) as error:
            self._fail(error, "")
        except Exception as error:  # noqa: BLE001 - a bug of ours: it must not take the record with it
            self._fail(error, "".join(traceback.format_exception(error)))

    def _fail(self, error: BaseException, trace: str) -> None:
        self.fields.setdefault("error", harness_error(error, ACTIVITY[self._transitions[-1].stage], trace))


def harness_error(error: BaseException, stage: str, trace: str) -> HarnessError:
    """An exception as it is recorded, secrets removed. `trace`: its traceback; empty where a person can act on it."""
    return HarnessError(stage=stage, kind=_kind(error), message=redact(str(error)), traceback=redact(trace))


def _kind(error: BaseException) -> str:
    """The class that diagnosis knows: of our errors the nearest that the error tree names, else the exception's own."""
    named = (kind for kind in type(error).__mro__ if kind.__module__ == SpeedproofError.__module__)
    return next(named, type(error)).__name__
