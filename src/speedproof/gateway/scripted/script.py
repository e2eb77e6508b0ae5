"""The scripted model's script: turns in terms of intent, one YAML file (docs/scripted-model.md)."""

from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, ValidationError, field_validator, model_validator

from speedproof.errors import InputError
from speedproof.journal.base import Record
from speedproof.tasks.suite import invalid, load_yaml


class Claim(Record):
    """Tokens that the provider claims to have counted, whatever it read and wrote."""

    uncached_input: int = Field(ge=0)
    """Input read afresh."""
    cache_read: int = Field(default=0, ge=0)
    """Input from the cache."""
    output: int = Field(ge=0)
    """Output, reasoning included."""
    reasoning: int = Field(default=0, ge=0)
    """The part of `output` spent on reasoning."""

    @model_validator(mode="after")
    def _a_part(self) -> "Claim":
        if self.reasoning > self.output:
            raise ValueError("reasoning is a part of output")
        return self


Kind = Literal["status", "hang", "stall", "cut", "malformed", "usage", "drip_s"]
"""What a fault does; each is the name of the field that asks for it."""
_BELONGS = {
    "message": {"status"},
    "code": {"status"},
    "type": {"status"},
    "body": {"status"},
    "headers": {"status"},
    "retry_after_s": {"status"},
    "hang_s": {"hang", "stall"},
}


class Fault(Record):
    """What goes wrong at a provider. One of: status, hang, stall, cut, malformed, usage, drip_s."""

    status: int | None = Field(default=None, ge=400, le=599)
    """It answers with an error of this HTTP status."""
    message: str = "The scripted provider failed."
    """The error's text."""
    code: str | None = None
    """The error's code, such as insufficient_quota or rate_limit_exceeded."""
    type: str | None = None
    """The error's type; default: the one that the protocol's provider uses with this status."""
    body: str | None = None
    """The error's body, word for word, in place of the protocol's own form."""
    headers: dict[str, str] = {}
    """Headers of the error."""
    retry_after_s: float | None = Field(default=None, ge=0)
    """Seconds in the Retry-After header; null: no header."""
    hang: bool = False
    """It takes the request and never answers."""
    stall: int | None = Field(default=None, ge=0)
    """It falls silent after this many events of its answer, or eighths of a body that is not streamed."""
    cut: int | None = Field(default=None, ge=0)
    """The connection breaks after this many events of its answer, or eighths of a body that is not streamed."""
    malformed: bool = False
    """Halfway through its answer comes what is no JSON, and nothing after it."""
    usage: Claim | None = None
    """Its answer is right, but for the tokens that it claims."""
    drip_s: float | None = Field(default=None, gt=0)
    """Its answer is right, but comes in pieces this many seconds apart."""
    hang_s: float | None = Field(default=None, gt=0)
    """Seconds of silence after which it breaks the connection; null: it is silent until the client goes away."""
    times: int | None = Field(default=None, gt=0)
    """How many requests meet this before the script goes on; null: for ever."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Fault":
        given = self._given()
        if len(given) != 1:
            raise ValueError(f"a fault needs one of: {', '.join(get_args(Kind))}")
        strays = [n for n, kinds in _BELONGS.items() if n in self.model_fields_set and given[0] not in kinds]
        if strays:
            raise ValueError(f"{strays[0]} goes with: {', '.join(sorted(_BELONGS[strays[0]]))}")
        return self

    def _given(self) -> list[Kind]:
        values: list[tuple[Kind, object]] = [(name, getattr(self, name)) for name in get_args(Kind)]
        return [name for name, value in values if value is not None and value is not False]

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self._given()[0]

    @property
    def answers(self) -> bool:
        """Whether the turn's answer still arrives whole."""
        return self.kind in {"usage", "drip_s"}


class Turn(Record):
    """One turn of the model: text, a shell command, the end; or a fault before the answer that follows."""

    say: str | None = None
    """Text that comes with the turn; alone, it is the whole answer."""
    run: str | None = Field(default=None, min_length=1)
    """A shell command, run by whatever shell tool the agent offers."""
    finish: str | None = None
    """Closing words; the task is declared done in the agent's own way."""
    fail: Fault | None = None
    """The provider fails here, instead of answering or while it gives the answer that follows."""

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
        for number, (turn, after) in enumerate(pairwise(turns), 1):
            lasting = turn.fail is not None and turn.fail.times is None
            if lasting and (after.fail is not None or not (turn.fail and turn.fail.answers)):
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
        mistakes = error.errors(include_url=False)
        raise invalid("script", document, path, mistakes, "see docs/scripted-model.md") from error
