"""An attempt that ended with requests that no provider may take: the first of them is named, and no other cause."""

from pathlib import Path
from typing import Any

import pytest

from attempt_writer import Wire, process, write_attempt
from speedproof.diagnosis import derive
from speedproof.journal import Diagnosis
from speedproof.journal import FailureClass as F
from speedproof.journal.call import Illegal, IllegalKind

OPEN = Illegal(kind=IllegalKind.OUTPUT_MISSING, call_id="call_7", tool="bash", entry=4)
BAD = Illegal(kind=IllegalKind.ARGUMENTS_MALFORMED, call_id="call_3", tool="bash", entry=2)
NEVER = Illegal(kind=IllegalKind.CALL_MISSING, call_id="call_9", entry=6)
NO_OUTPUT = "No tool output found for function call call_7."


def call(wire: Wire, *faults: Illegal, tools: tuple[str, ...] = (), error: str | None = None, **facts: Any) -> Wire:
    """One more call: answered, with calls of these tools, or refused with this error."""
    number = wire._intent(illegal=faults)
    given = {"status": 200 if error is None else 400, "error": error, "complete": True, "tool_calls": tools}
    return wire._outcome(number, 1, **(given | facts))


def diagnosed(folder: Path, wire: Wire) -> Diagnosis:
    found = derive(write_attempt(folder, calls=wire, process=process(1))).diagnosis
    assert found is not None
    return found


def test_the_call_that_was_left_open_is_traced_to_the_answer_that_made_it(tmp_path: Path) -> None:
    wire = call(call(call(Wire(), tools=("bash",)), tools=("bash", "edit")), tools=())  # the last: a title, on the side
    for _ in range(10):
        call(wire, OPEN, error=NO_OUTPUT)
    found = diagnosed(tmp_path, wire)
    assert found.failure is F.TOOL_OUTPUT_MISSING
    assert "tool call call_7 of bash, made in the answer to call 2, was left without its output" in found.message
    assert "call 4 is illegal from the start" in found.message
    assert "10 times" in found.message


def test_an_output_without_a_call_was_made_in_no_answer(tmp_path: Path) -> None:
    wire = call(call(Wire(), tools=("bash",)), NEVER, error="No tool call found for function call output call_9.")
    found = diagnosed(tmp_path, wire)
    assert found.failure is F.TOOL_CALL_MISSING
    assert "tool call call_9 has an output, but was never made" in found.message


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("This model's maximum context length is 200000 tokens.", F.CONTEXT_OVERFLOW),
        ("Your credit balance is too low to access the API.", F.QUOTA_EXHAUSTED),
        ("The model `gpt-9` does not exist.", F.MODEL_NOT_FOUND),
    ],
)
def test_a_refusal_for_another_reason_is_not_laid_to_the_conversation(tmp_path: Path, error: str, failure: F) -> None:
    assert diagnosed(tmp_path, call(call(Wire(), tools=("bash",)), BAD, error=error)).failure is failure


def test_what_the_provider_took_before_is_not_why_it_refuses_now(tmp_path: Path) -> None:
    wire = call(call(Wire(), BAD), BAD, error="Bad Request")
    assert diagnosed(tmp_path, wire).failure is F.BAD_REQUEST
    assert diagnosed(tmp_path / "b", call(wire, BAD, OPEN, error="Bad Request")).failure is F.TOOL_OUTPUT_MISSING


def test_a_refusal_of_ours_for_the_conversation_counts(tmp_path: Path) -> None:
    wire = call(Wire(), OPEN, error="The conversation is not legal", answered_by="gateway")
    assert diagnosed(tmp_path, wire).failure is F.TOOL_OUTPUT_MISSING


def of(wire: Wire, model: str, error: str | None = None) -> Wire:
    """One more call, to this model."""
    number = wire._intent(model_asked="anything", sent={"model": model})
    return wire._outcome(number, 1, status=200 if error is None else 400, error=error, complete=True)


def test_a_side_model_that_still_answers_does_not_hide_that_the_agents_own_does_not(tmp_path: Path) -> None:
    wire = of(of(of(Wire(), "m"), "m", "This model's maximum context length is 200000 tokens."), "small")
    status = derive(write_attempt(tmp_path, calls=wire))
    assert status.diagnosis is not None and status.diagnosis.failure is F.CONTEXT_OVERFLOW
    assert status.run == "agent_error"


def test_a_side_model_that_fails_does_not_fail_an_agent_whose_own_model_answered(tmp_path: Path) -> None:
    wire = of(of(Wire(), "m"), "small", "The model `small` does not exist.")
    assert derive(write_attempt(tmp_path / "a", calls=wire)).run == "completed"
    alone = of(Wire(), "small", "The model `small` does not exist.")
    assert derive(write_attempt(tmp_path / "b", calls=alone)).run == "model_error"
