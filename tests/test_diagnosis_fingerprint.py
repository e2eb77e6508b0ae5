"""The names under which equal failures are counted: equal whatever the particulars are, apart where the failure is."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speedproof.diagnosis import fingerprint
from speedproof.diagnosis.fingerprint import plain
from speedproof.journal import Diagnosis
from speedproof.journal import FailureClass as F


def named(message: str, failure: F = F.TOOL_OUTPUT_MISSING) -> str:
    return fingerprint(Diagnosis(failure=failure, message=message, stage="run", confidence="direct", evidence=()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No tool output found for function call call_aZ9.", "No tool output found for function call call_Qq77."),
        ("HTTP 429: retry in 3.5 s (the last 10 calls failed)", "HTTP 429: retry in 17 s (the last 2 calls failed)"),
        ("cannot open /home/a/x.yaml: denied", "cannot open /srv/other/y.toml: denied"),
        ("cannot open '../bin/python'", "cannot open 'environment/bin/python'"),
        ("cannot open 'src/core.py'", r"cannot open 'C:\work\core.py'"),
        ("error sending request for url (https://a.example/v1)", "error sending request for url (http://127.0.0.1:80/v1/x)"),
        ("sent to https://a.example/v1, refused", "sent to https://b.example/, refused"),
        ("connect to 127.0.0.1:8080 failed", "connect to localhost:9 failed"),
        ("limit resets at 11:04 PM", "limit resets at 9:10 AM"),
        ("try again at 11:04 PM.", "try again at Nov 25th, 2025 9:10 AM."),
        ("Please try again in 340ms.", "Please try again in 1.2s."),
        ("try again in 3 days 2 hours 5 minutes", "try again in 20 minutes"),
        ("failed at 2026-01-02T03:04:05Z in 0x7ffde0", "failed at 2025-11-12 13:14:15,123 in 0x1234abcd"),
        ("request 9a10e6bb69e3ad28 refused", "request 123e4567-e89b-12d3-a456-426614174000 refused"),
        ("request id: 9a10e6bb69e3ad28-MAA", "request id: 8b20f7cc70f4be39-SJC"),
        ("your messages are 99999 tokens", "your messages are 1,273,456 tokens"),
        ("exit code 1", "exit code -9"),
        ("key provided: [redacted] Find it", 'key provided: "[redacted]". Find it'),
        ("key provided: ${OPEN*****KEY}. Find it", "key provided: [redacted] Find it"),
        ("the agent reports: [Errno 32] Broken pipe", "BrokenPipeError: [Errno 32] Broken pipe"),
        (
            "the agent reports: Error code: 400 - {'error': {'message': 'No output for call_Ab1.', 'code': None}}",
            'OpenAI API call failed: Error code: 400 - {"error": {"type": "x", "message": "No output for call_Cd2."}}',
        ),
        ('File "/home/a/lib/config.py", line 3, in create', 'File "/srv/config.py", line 229, in create'),
    ],
)  # fmt: skip
def test_the_same_failure_has_the_same_fingerprint_whatever_its_particulars(one: str, other: str) -> None:
    assert named(one) == named(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No module named 'click'", "No module named 'torch'"),
        ("missing 2 required arguments: 'top_p' and 'top_k'", "missing 1 required argument: 'top_k'"),
        ('File "/a/config.py", line 3, in __init__', 'File "/a/client.py", line 3, in __init__'),
        ("model openai/gpt-a is not there", "model openai/gpt-b is not there"),
        ("KeyError: 'call_type'", "KeyError: 'call_name'"),
        ("{'error': {'message': 'no quota'}}", "{'error': {'message': 'no credit'}}"),
    ],
)
def test_different_failures_have_different_fingerprints(one: str, other: str) -> None:
    assert named(one) != named(other)


def test_the_class_is_part_of_the_name() -> None:
    assert named("it broke", F.AGENT_CRASH) != named("it broke", F.DEFECT)
    assert named("added a face and a decade") == "agent/protocol/tool_output_missing: added a face and a decade"


PARTS = st.sampled_from([
    "the agent reports: ", "error: ", "Unexpected error: ", "[Errno 2] ", "{'message': '", "'}", '"message": "', "***",
    "/usr/lib/x.py", "a/b/c", "https://x.example:80/v1?q=1", "10.0.0.1", "call_Ab1", "2025-10-14T15:00:00.5Z", "ms",
    "11:04 PM", "3 days", " and ", "Nov 3rd", "0xdeadbeef01", "-", "5", "1.5e-3", " ", ",", ".", "'", '"', "\\", "\n",
    "<time>", "[redacted]", 'File "/a/b.py", line 3', "é", "İ", "me@mail.example", "C:\\x", "~", "~/x", "localhost:1",
])  # fmt: skip
TEXTS = st.lists(PARTS | st.text(max_size=8), max_size=25).map("".join)


@given(TEXTS)
@settings(max_examples=400)
def test_a_name_without_particulars_is_its_own_name(text: str) -> None:
    name = plain(text)
    assert plain(name) == name
    assert len(name) <= 160 and not any(c in "0123456789" for c in name)


HEX = st.text("0123456789abcdef", min_size=12, max_size=32)
KINDS = {
    "number": st.integers(-(10**12), 10**12).map(str) | st.floats(0, 1e9).map(str),
    "id": HEX.map("call_0".__add__) | HEX.map("0x".__add__) | HEX.map("a1".__add__) | st.uuids().map(str),
    "path": st.lists(st.text("abcXYZ09_-", min_size=1, max_size=12), min_size=1, max_size=6).map(
        lambda names: "/" + "/".join(names)
    ),
    "address": st.tuples(st.sampled_from(["http", "https", "wss"]), st.text("abc.09-", min_size=3, max_size=20)).map(
        lambda both: f"{both[0]}://{both[1]}/v1"
    ),
    "time": st.datetimes().map(lambda at: f"{at:%H:%M:%S}")
    | st.datetimes().map(lambda at: f"2025-{at:%m-%dT%H:%M:%S}"),
}


@given(st.data(), st.sampled_from(sorted(KINDS)))
@settings(max_examples=300)
def test_a_fingerprint_does_not_change_with_the_particulars(data: st.DataObject, kind: str) -> None:
    one, other = data.draw(KINDS[kind]), data.draw(KINDS[kind])
    frame = data.draw(
        st.sampled_from(["it failed at {} again", "{}: refused", "the agent reports: no answer for '{}'"])
    )
    assert named(frame.format(one)) == named(frame.format(other))


def test_a_hostile_message_is_named_at_once() -> None:
    began = time.process_time()
    for piece in ("'message': '", "a/", "-", "*", 'file "', "1 d ", "a@b.", "error: ", "x-", "1:", "[", "~/", "0x"):
        plain(piece * 2_000)
    assert time.process_time() - began < 2
