"""The scripted model's script: turns in terms of intent, one YAML file (docs/scripted-model.md)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from speedproof.errors import InputError
from speedproof.journal.base import Record
from speedproof.tasks.suite import line_of, load_yaml


class Fault(Record):
    """An error that the provider answers with."""

    status: int = Field(ge=400, le=599)
    """HTTP status."""
    message: str = "The scripted provider failed."
    """The error's text."""
    code: str | None = None
    """The error's code, such as insufficient_quota or rate_limit_exceeded."""
    type: str | None = None
    """The error's type; default: the one OpenAI uses with this status."""
    retry_after_s: float | None = Field(default=None, ge=0)
    """Seconds in the Retry-After header; null: no header."""
    times: int | None = Field(default=None, gt=0)
    """How many requests fail before the script goes on; null: for ever."""


class Turn(Record):
    """One turn of the model: text, a shell command, the end; or a fault in its place."""

    say: str | None = None
    """Text that comes with the turn; alone, it is the whole answer."""
    run: str | None = Field(default=None, min_length=1)
    """A shell command, run by whatever shell tool the agent offers."""
    finish: str | None = None
    """Closing words; the task is declared done in the agent's own way."""
    fail: Fault | None = None
    """The provider fails here instead of answering."""

    @model_validator(mode="after")
    def _one_intent(self) -> "Turn":
        given = [name for name in ("say", "run", "finish", "fail") if getattr(self, name) is not None]
        if not given:
            raise ValueError("a turn needs one of: say, run, finish, fail")
        if "fail" in given and len(given) > 1:
            raise ValueError("fail stands in a turn of its own")
        if "run" in given and "finish" in given:
            raise ValueError("run and finish stand in turns of their own")
        return self


class Step(Record):
    """An answer of the script and the faults that come before it."""

    faults: tuple[Fault, ...] = ()
    """Faults to be passed first, in order."""
    turn: Turn
    """The answer."""


class Script(Record):
    """A whole script."""

    format: Literal["speedproof/script/1"]
    """Version of the file's schema."""
    description: str = ""
    """What the script plays."""
    turns: tuple[Turn, ...] = Field(min_length=1)
    """The turns, in order; after the last one the model finishes, again and again."""

    @field_validator("turns")
    @classmethod
    def _all_reached(cls, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
        for number, turn in enumerate(turns[:-1], 1):
            if turn.fail is not None and turn.fail.times is None:
                raise ValueError(f"turn {number} fails for ever, so turn {number + 1} is never reached; give `times`")
        return turns

    def step(self, index: int) -> Step:
        """The answer with this number, counted from 0; past the end, a finish."""
        faults: list[Fault] = []
        answered = 0
        last = Turn(finish="Done.")
        for turn in self.turns:
            if turn.fail is not None:
                faults.append(turn.fail)
                continue
            if answered == index:
                return Step(faults=tuple(faults), turn=turn)
            if turn.finish is not None:
                last = turn
            answered += 1
            faults = []
        if index > answered:
            faults = [fault for fault in faults if fault.times is None]
        return Step(faults=tuple(faults), turn=last)


def load_script(path: Path) -> Script:
    """Read and validate a script. Raises InputError naming file, line and field."""
    document = load_yaml(path)
    if not isinstance(document, dict):
        raise InputError("a script is a mapping with `format` and `turns`", file=path, line=1)
    try:
        return Script.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "script"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{field}: {message}{more}",
            file=path,
            line=line_of(document, first["loc"]),
            hint="see docs/scripted-model.md",
        ) from error
