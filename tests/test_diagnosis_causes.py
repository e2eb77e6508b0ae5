"""What ended an attempt is its cause: each story a user meets, and the class, status and place it must get."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attempt_writer import START as START_AT
from attempt_writer import Wire, failed_with, outcome, patch, process, write_attempt
from speedproof.diagnosis import derive
from speedproof.journal import FailureClass as F
from speedproof.journal import StopCause, Transition
from speedproof.journal.attempt import BoundFacts
from speedproof.journal.call import CUT_BY_AGENT, CUT_BY_END

QUOTA = "You exceeded your current quota, please check your plan and billing details."
NO_OUTPUT = "No tool output found for function call call_abc123."
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in <module>',
    "ModuleNotFoundError: No module named 'torch'",
]


@dataclass(frozen=True)
class Story:
    """Facts, and what must be said of them."""

    title: str
    failure: F | None
    run: str
    where: tuple[str, int | None] | None = None
    """File and line of the first evidence; line None: any."""
    says: str = ""
    confidence: str = "direct"
    facts: dict[str, Any] = field(default_factory=dict)


def story(title: str, failure: F | None, run: str, where: tuple[str, int | None] | None = None, **more: Any) -> Story:
    names = ("says", "confidence")
    return Story(title, failure, run, where, **{n: more.pop(n) for n in names if n in more}, facts=more)


HARNESS = [
    story(
        f"harness: {kind}: {text}",
        failure,
        run,
        ("attempt.json", None),
        says=text[:20],
        error=failed_with(kind, text),
        process=None,
        confidence=sure,
    )
    for kind, text, failure, run, sure in [
        ("SandboxError", "bubblewrap is not installed", F.SANDBOX, "infra_error", "direct"),
        (
            "LeakError",
            "site-packages/x/core.py holds lines of the expert change",
            F.ANSWER_LEAKED,
            "infra_error",
            "direct",
        ),
        ("AgentError", "codex is not installed", F.AGENT_NOT_FOUND, "infra_error", "direct"),
        ("EnvironmentFailed", "numpy==99 cannot be installed", F.SETUP_FAILED, "infra_error", "direct"),
        (
            "EnvironmentFailed",
            "dns error: failed to lookup address: Could not resolve host",
            F.NETWORK,
            "infra_error",
            "direct",
        ),
        ("SourceError", "no commit abc in the repository", F.CONFIG_INVALID, "infra_error", "direct"),
        ("InputError", "no such task", F.CONFIG_INVALID, "infra_error", "direct"),
        (
            "RecordError",
            "calls.jsonl: cannot append to the record: No space left on device",
            F.DISK_FULL,
            "infra_error",
            "direct",
        ),
        ("OSError", "[Errno 28] No space left on device", F.DISK_FULL, "infra_error", "direct"),
        ("RecordError", "attempt.json: damaged record", F.DEFECT, "infra_error", "inferred"),
        ("MemoryError", "", F.OUT_OF_MEMORY, "infra_error", "direct"),
        ("OSError", "[Errno 12] Cannot allocate memory", F.OUT_OF_MEMORY, "infra_error", "direct"),
        ("PermissionError", "[Errno 13] Permission denied: '/x'", F.PERMISSION_DENIED, "infra_error", "direct"),
        (
            "FileNotFoundError",
            "[Errno 2] No such file or directory: 'env/bin/python'",
            F.AGENT_NOT_FOUND,
            "infra_error",
            "direct",
        ),
        ("TaskError", "the build command failed with exit code 2", F.SETUP_FAILED, "infra_error", "direct"),
        ("TaskError", "the workload never says start", F.WORKLOAD_BROKEN, "infra_error", "direct"),
        ("TaskError", "the expert change is not faster than base", F.EXPERT_NOT_FASTER, "infra_error", "direct"),
        ("TaskError", "base fails 3 of its tests", F.BASE_BROKEN, "infra_error", "inferred"),
        ("BrokenPipeError", "[Errno 32] Broken pipe", F.DEFECT, "infra_error", "direct"),
        ("KeyError", "'x'", F.DEFECT, "infra_error", "direct"),
        ("KeyboardInterrupt", "", F.INTERRUPTED, "cancelled", "direct"),
    ]
]

PROVIDER = [
    story(
        "a key the provider does not know",
        F.BAD_KEY,
        "model_error",
        ("calls.jsonl", 2),
        says="HTTP 401",
        calls=Wire().fails(401, "Incorrect API key provided", "invalid_api_key"),
        process=process(1),
    ),
    story(
        "a login that expired",
        F.LOGIN_EXPIRED,
        "model_error",
        says="expired",
        calls=Wire().fails(401, "The SSO session associated with this profile has expired"),
        process=process(1),
    ),
    story(
        "an account without access",
        F.FORBIDDEN,
        "model_error",
        calls=Wire().fails(403, "Country not supported"),
        process=process(1),
    ),
    story(
        "a model that does not exist",
        F.MODEL_NOT_FOUND,
        "model_error",
        calls=Wire().fails(404, "The model `gpt-99` does not exist", "model_not_found"),
        process=process(1),
    ),
    story(
        "no credit left, and the agent exits with 0 all the same",
        F.QUOTA_EXHAUSTED,
        "model_error",
        ("calls.jsonl", 14),
        says="the last 4 of 7 model calls failed",
        calls=Wire().ok(3).fails(429, QUOTA, "insufficient_quota", times=4),
        outcome=outcome(finished=False, error="boom"),
    ),
    story(
        "a subscription's limit, with the time at which it resets",
        F.USAGE_LIMIT,
        "model_error",
        says="resets at 11:04 PM",
        calls=Wire().fails(429, "You've hit your usage limit. Upgrade or try again at 11:04 PM."),
        process=process(1),
    ),
    story(
        "a plan that is used up, in the words of a rate limit, with the time at which it resets",
        F.USAGE_LIMIT,
        "model_error",
        says="resets at 2026-11-23 16:05 UTC",
        calls=Wire().fails(
            429,
            "This request would exceed your account's rate limit.",
            "rate_limit_error",
            resets_at=datetime(2026, 11, 23, 16, 5, tzinfo=UTC),
        ),
        process=process(1),
    ),
    story(
        "too many requests",
        F.RATE_LIMITED,
        "model_error",
        calls=Wire().fails(429, "Rate limit reached", times=3),
        process=process(1),
    ),
    story(
        "an overloaded provider",
        F.SERVER_ERROR,
        "model_error",
        calls=Wire().fails(529, "Overloaded"),
        process=process(1),
    ),
    story(
        "an error inside a stream that began with 200",
        F.RATE_LIMITED,
        "model_error",
        calls=Wire().ok().fails(200, "Rate limit reached for gpt-5", "rate_limit_exceeded"),
        process=process(1),
    ),
    story(
        "an answer that breaks off",
        F.STREAM_BROKEN,
        "model_error",
        confidence="direct",
        calls=Wire().ok().fails(200, "the stream ended without its end marker", complete=False, first_byte_s=0.1),
        process=process(1),
    ),
    story(
        "a provider that cannot be reached",
        F.NETWORK,
        "infra_error",
        calls=Wire().fails(
            502, "The provider cannot be reached: Cannot connect to host", "upstream_unreachable", answered_by="gateway"
        ),
        process=process(1),
    ),
    story(
        "no answer at all",
        F.NETWORK,
        "infra_error",
        confidence="inferred",
        calls=Wire().fails(None, None, complete=False),
        process=process(1),
    ),
    story(
        "a tool call left without an output, exit 0",
        F.TOOL_OUTPUT_MISSING,
        "agent_error",
        ("calls.jsonl", 12),
        says="call_abc123",
        calls=Wire().ok().fails(400, NO_OUTPUT, "invalid_request_error", times=5),
    ),
    story(
        "tool calls without results, in the words of another provider",
        F.TOOL_OUTPUT_MISSING,
        "agent_error",
        calls=Wire().ok().fails(400, "messages.62: `tool_use` ids were found without `tool_result` blocks: toolu_1"),
    ),
    story(
        "tool arguments that do not parse",
        F.TOOL_ARGS_MALFORMED,
        "agent_error",
        calls=Wire().ok().fails(400, "Invalid tool call arguments: not valid JSON"),
    ),
    story(
        "an empty tool result",
        F.EMPTY_TOOL_RESULT,
        "agent_error",
        calls=Wire().ok().fails(400, "tool_result: content cannot be empty if `is_error` is true"),
    ),
    story(
        "a conversation too long for the model",
        F.CONTEXT_OVERFLOW,
        "agent_error",
        calls=Wire().ok().fails(400, "This model's maximum context length is 8192 tokens", "context_length_exceeded"),
    ),
    story(
        "any other refused request",
        F.BAD_REQUEST,
        "model_error",
        calls=Wire().fails(400, "Missing required parameter: 'tools[0].type'."),
    ),
    story(
        "the gateway ends the attempt's calls and the agent leaves first",
        F.LIMIT_STEPS,
        "limit",
        calls=Wire()
        .ok(5)
        .fails(
            400,
            "The attempt's limit of model calls is used up; it ends here.",
            "speedproof_budget_exhausted",
            answered_by="gateway",
        ),
        process=process(1),
    ),
    story(
        "the gateway ends the attempt's tokens and the agent leaves first",
        F.LIMIT_TOKENS,
        "limit",
        calls=Wire()
        .ok(5)
        .fails(
            400,
            "The attempt's limit of tokens is used up; it ends here.",
            "speedproof_budget_exhausted",
            answered_by="gateway",
        ),
    ),
    story(
        "the gateway ends the attempt's money and the agent leaves first",
        F.LIMIT_COST,
        "limit",
        calls=Wire()
        .ok(5)
        .fails(
            400,
            "The attempt's limit of cost is used up; it ends here.",
            "speedproof_budget_exhausted",
            answered_by="gateway",
        ),
    ),
    story(
        "an agent that does not use its own key",
        F.CONFIG_INVALID,
        "infra_error",
        calls=Wire().fails(
            401,
            "Incorrect API key provided: this attempt has a key of its own.",
            "invalid_api_key",
            answered_by="gateway",
        ),
    ),
    story(
        "an agent that speaks a protocol the gateway does not",
        F.CONFIG_INVALID,
        "infra_error",
        says="/v1/models",
        confidence="inferred",
        calls=Wire().side_route(404, error="Invalid URL", answered_by="gateway"),
    ),
    story(
        "an agent that waited, gave up three times and left",
        F.SERVER_ERROR,
        "model_error",
        confidence="inferred",
        says="never answered",
        calls=Wire().ok().fails(None, CUT_BY_AGENT, complete=False, times=3, seconds=10),
        process=process(1),
    ),
    story("errors that the agent got over", None, "completed", calls=Wire().fails(429, QUOTA, times=5).ok()),
    story(
        "a call that the agent no longer needed",
        None,
        "completed",
        outcome=outcome(finished=True),
        calls=Wire().ok(3).fails(200, CUT_BY_AGENT, complete=False, seconds=2),
    ),
]

STOPPED = [
    story(
        "the wall time is used up",
        F.LIMIT_TIME,
        "limit",
        ("attempt.json", None),
        says="wall time",
        calls=Wire().ok(9),
        process=process(None, signal=9, stopped_by=StopCause.WALL),
    ),
    story(
        "the wall time is used up while a short call is under way",
        F.LIMIT_TIME,
        "limit",
        calls=Wire().ok(9).fails(200, CUT_BY_END, complete=False, seconds=5),
        process=process(None, signal=9, stopped_by=StopCause.WALL),
    ),
    story(
        "the wall time is used up waiting for the provider",
        F.SERVER_ERROR,
        "model_error",
        ("calls.jsonl", 4),
        says="never answered",
        confidence="inferred",
        calls=Wire().ok().fails(None, CUT_BY_END, complete=False, seconds=90),
        process=process(None, signal=9, stopped_by=StopCause.WALL),
    ),
    story(
        "the idle limit strikes and nothing was asked",
        F.HANG,
        "agent_error",
        calls=Wire().ok(2),
        process=process(None, signal=9, stopped_by=StopCause.IDLE),
    ),
    story(
        "the idle limit strikes long after a call that the agent broke off",
        F.HANG,
        "agent_error",
        calls=Wire().ok(2).fails(None, CUT_BY_AGENT, complete=False, seconds=2),
        process=process(None, signal=9, stopped_by=StopCause.IDLE),
    ),
    story(
        "the idle limit strikes while the provider is silent",
        F.SERVER_ERROR,
        "model_error",
        confidence="inferred",
        says="never answered",
        calls=Wire().ok(2).unanswered(),
        process=process(None, signal=9, stopped_by=StopCause.IDLE),
    ),
    story(
        "the idle limit strikes while a stream stalls",
        F.STREAM_BROKEN,
        "model_error",
        confidence="inferred",
        says="stalled",
        calls=Wire().fails(200, CUT_BY_END, complete=False, first_byte_s=0.5, response_bytes=9, seconds=30),
        process=process(None, signal=9, stopped_by=StopCause.IDLE),
    ),
    story(
        "an agent that repeats a refused request until its time is up",
        F.QUOTA_EXHAUSTED,
        "model_error",
        confidence="inferred",
        says="still trying",
        calls=Wire().ok().fails(429, QUOTA, times=8).fails(None, CUT_BY_END, complete=False),
        process=process(None, signal=9, stopped_by=StopCause.WALL),
    ),
    story(
        "one failed call just before the time is up",
        F.LIMIT_TIME,
        "limit",
        calls=Wire().ok(90).fails(429, "Rate limit reached"),
        process=process(None, signal=9, stopped_by=StopCause.WALL),
    ),
    story(
        "the cost is used up", F.LIMIT_COST, "limit", calls=Wire().ok(9), process=process(1, stopped_by=StopCause.COST)
    ),
    story(
        "the tokens are used up",
        F.LIMIT_TOKENS,
        "limit",
        calls=Wire().ok(9),
        process=process(1, stopped_by=StopCause.TOKENS),
    ),
    story(
        "the steps are used up",
        F.LIMIT_STEPS,
        "limit",
        process=process(1, stopped_by=StopCause.STEPS),
        calls=Wire().ok(9).fails(400, "The attempt's limit of model calls is used up", answered_by="gateway", times=4),
    ),
    story(
        "the user ends the run",
        F.INTERRUPTED,
        "cancelled",
        calls=Wire().ok(2),
        says="cancelled",
        process=process(None, signal=15, stopped_by=StopCause.CANCELLED),
    ),
    story(
        "somebody kills the agent in the middle of a call",
        F.KILLED,
        "agent_error",
        ("attempt.json", None),
        says="SIGKILL",
        calls=Wire().ok(2).fails(None, CUT_BY_END, complete=False),
        process=process(None, signal=9),
    ),
    story(
        "a kill that the sandbox reports as an exit code",
        F.KILLED,
        "agent_error",
        says="SIGKILL",
        confidence="inferred",
        calls=Wire().ok(2),
        process=process(137),
    ),
    story(
        "a segmentation fault",
        F.AGENT_CRASH,
        "agent_error",
        says="SIGSEGV",
        calls=Wire().ok(2),
        process=process(None, signal=11),
    ),
    story(
        "a kill after memory ran out",
        F.OUT_OF_MEMORY,
        "infra_error",
        ("stderr.log.zst", 1),
        calls=Wire().ok(2),
        stderr=["FATAL ERROR: JavaScript heap out of memory"],
        process=process(None, signal=6),
    ),
]

START = [
    story(
        f"start: {line}",
        failure,
        run,
        ("stderr.log.zst", 2),
        says=line[:30],
        stderr=["starting", line, ""],
        process=process(1),
    )
    for line, failure, run in [
        ("ModuleNotFoundError: No module named 'click'", F.AGENT_IMPORT_ERROR, "infra_error"),
        ("ImportError: cannot import name 'Tool' from 'sdk'", F.AGENT_IMPORT_ERROR, "infra_error"),
        ("Error: Cannot find module '/opt/cli.js'", F.AGENT_IMPORT_ERROR, "infra_error"),
        ("bwrap: execvp /opt/agent/bin/codex: No such file or directory", F.AGENT_NOT_FOUND, "infra_error"),
        ("/bin/sh: 1: codex: command not found", F.AGENT_NOT_FOUND, "infra_error"),
        ("bwrap: Creating new namespace failed", F.SANDBOX, "infra_error"),
        (
            "ERROR codex: failed to initialize rollout recorder: Permission denied (os error 13)",
            F.PERMISSION_DENIED,
            "infra_error",
        ),
        ("Error: Config file not found. Please name one", F.CONFIG_MISSING, "infra_error"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/home/agent/c.yaml'",
            F.CONFIG_MISSING,
            "infra_error",
        ),
        ("error: unexpected argument '--file' found", F.CONFIG_INVALID, "infra_error"),
        (
            "TypeError: ModelConfig.__init__() missing 2 required positional arguments: 'a' and 'b'",
            F.CONFIG_INVALID,
            "infra_error",
        ),
        ("OSError: [Errno 28] No space left on device", F.DISK_FULL, "infra_error"),
        ("Error when retrieving token from sso: Token has expired and refresh failed", F.LOGIN_EXPIRED, "model_error"),
        ("ERROR: exceeded retry limit, last status: 401 Unauthorized", F.BAD_KEY, "model_error"),
        ("ERROR: Connection failed: error sending request for url", F.NETWORK, "infra_error"),
    ]
]

OWN = [
    story(
        "the agent's trajectory names its error",
        F.TOOL_ARGS_MALFORMED,
        "agent_error",
        ("trajectory.json", 7),
        calls=Wire().ok(),
        outcome=outcome(
            finished=False,
            error="Unterminated string starting at: line 1 column 33 (char 32)",
            error_file="trajectory.json",
            error_line=7,
        ),
    ),
    story(
        "the agent reports its own limit of steps",
        F.LIMIT_STEPS,
        "limit",
        ("attempt.json", None),
        calls=Wire().ok(),
        outcome=outcome(finished=False, error="Task execution exceeded maximum steps without completion."),
    ),
    story(
        "the agent blames a provider that answered well",
        F.AGENT_CRASH,
        "agent_error",
        calls=Wire().ok(),
        outcome=outcome(finished=False, error="Error code: 429 - You exceeded your current quota"),
        process=process(1),
    ),
    story(
        "the agent blames a provider that it never reached through the gateway",
        F.QUOTA_EXHAUSTED,
        "model_error",
        outcome=outcome(finished=False, error="Error code: 429 - You exceeded your current quota"),
        process=process(1),
    ),
    story(
        "an error line on standard output is found where it is kept",
        F.AGENT_CRASH,
        "agent_error",
        ("stdout.log.zst", 1),
        stdout=["list index out of range"],
        calls=Wire().ok(),
        process=process(1),
        outcome=outcome(finished=False, error="list index out of range", error_file="stdout.log", error_line=1),
    ),
    story(
        "a patch that git refuses",
        F.AGENT_CRASH,
        "agent_error",
        model=None,
        control="rate_limit.diff",
        process=process(1),
        outcome=outcome(finished=False, error="error: patch failed: src/rate_limit.py:401"),
    ),
    story(
        "an exit code and a last line",
        F.AGENT_CRASH,
        "agent_error",
        ("stderr.log.zst", 2),
        says="something broke",
        calls=Wire().ok(),
        stderr=["hello", "Error: something broke"],
        process=process(3),
    ),
    story(
        "an exit code and nothing else",
        F.AGENT_CRASH,
        "agent_error",
        ("attempt.json", None),
        says="exit code 3",
        calls=Wire().ok(),
        process=process(3),
        confidence="inferred",
    ),
    story(
        "a traceback of a command that the agent ran is not the cause",
        F.AGENT_CRASH,
        "agent_error",
        ("stderr.log.zst", 4),
        says="agent loop ended",
        calls=Wire().ok(),
        stderr=[*TRACEBACK, "agent loop ended"],
        process=process(1),
    ),
    story("a traceback of a command does not undo a good end", None, "completed", calls=Wire().ok(), stderr=TRACEBACK),
    story(
        "a start-up traceback whose exception was lost",
        F.AGENT_IMPORT_ERROR,
        "infra_error",
        ("stderr.log.zst", 3),
        confidence="inferred",
        stderr=[
            "Traceback (most recent call last):",
            '  File "cli.py", line 3, in <module>',
            "    from sdk.types import Tool",
        ],
        process=process(1),
    ),
    story(
        "exit 0 without one model call",
        F.AGENT_CRASH,
        "agent_error",
        says="never called the model",
        confidence="inferred",
        calls=Wire(),
    ),
    story("exit 0 of an agent whose calls nobody recorded", None, "completed"),
    story(
        "exit 0 without one model call, and its log says why",
        F.CONFIG_MISSING,
        "infra_error",
        ("stdout.log.zst", 1),
        stdout=["Error: Config file not found."],
    ),
    story(
        "exit 0 before its own end mark",
        F.GAVE_UP,
        "agent_error",
        calls=Wire().ok(),
        confidence="inferred",
        outcome=outcome(finished=False, message="I will look further"),
    ),
    story("no process and no error", F.DEFECT, "infra_error", process=None, confidence="inferred"),
    story("no patch was computed", F.DEFECT, "infra_error", calls=Wire().ok(), patch=None, confidence="inferred"),
    story("nothing wrong", None, "completed", calls=Wire().ok(), outcome=outcome(finished=True, claims_success=True)),
    story("a patch applied by the patch agent, which has no model", None, "completed", model=None, control="expert"),
]

NOTHING = [
    story(
        "success is claimed and nothing was done",
        F.NO_PATCH,
        "completed",
        ("attempt.json", None),
        says="I made it 10x faster",
        calls=Wire().ok(),
        patch=patch(0),
        outcome=outcome(finished=True, claims_success=True, message="I made it 10x faster."),
    ),
    story(
        "the agent says that it gave up",
        F.GAVE_UP,
        "completed",
        calls=Wire().ok(),
        patch=patch(0),
        says="I give up",
        outcome=outcome(finished=True, message="I give up."),
    ),
    story(
        "the agent says that it failed",
        F.GAVE_UP,
        "completed",
        calls=Wire().ok(),
        patch=patch(0),
        outcome=outcome(finished=True, claims_success=False),
    ),
    story(
        "only comments were changed",
        F.NO_PATCH,
        "completed",
        says="only comments",
        calls=Wire().ok(),
        patch=patch(effect="none"),
    ),
    story(
        "only tests were changed",
        F.NO_PATCH,
        "completed",
        says="protected",
        calls=Wire().ok(),
        patch=patch(effect="tests_only"),
    ),
    story("the no-op control has nothing to explain", None, "completed", model=None, control="noop", patch=patch(0)),
    story(
        "a patch of ours that does not apply is our bug",
        F.DEFECT,
        "completed",
        calls=Wire().ok(),
        patch=patch(applies=False),
        confidence="inferred",
    ),
]


def bounds(**counted: int | None) -> BoundFacts:
    given = {"memory_bytes": 1000, "processes": 10, "disk_bytes": 1000, "disk_files": 10}
    return BoundFacts(enforced_by="cgroup v2", **{**given, "memory_peak_bytes": 500, **counted})


KILLED = process(None, signal=9)
BOUNDED = [
    story(
        "the kernel ends the agent at its bound of memory",
        F.LIMIT_MEMORY,
        "limit",
        says="the kernel ended the agent",
        process=process(None, signal=9, stopped_by=StopCause.MEMORY),
        bounds=bounds(memory_peak_bytes=1000, out_of_memory_kills=1),
        transitions=(Transition(stage="stopping", at=START_AT, cause="it ended"),),
    ),
    story(
        "the harness ends the agent for what it wrote",
        F.LIMIT_DISK,
        "limit",
        says="the harness ended the agent",
        process=process(None, signal=15, stopped_by=StopCause.DISK),
        bounds=bounds(disk_peak_files=11),
    ),
    story(
        "it gives no sign of life from the start",
        F.HANG,
        "agent_error",
        says="since it was launched",
        process=process(None, signal=15, stopped_by=StopCause.STARTUP),
        bounds=bounds(),
    ),
    story(
        "the machine has no memory left and takes the agent's",
        F.OUT_OF_MEMORY,
        "infra_error",
        says="the machine had none left",
        confidence="inferred",
        process=KILLED,
        calls=Wire().ok(2),
        bounds=bounds(out_of_memory_kills=1),
    ),
    story(
        "somebody kills an agent that had memory enough",
        F.KILLED,
        "agent_error",
        process=KILLED,
        calls=Wire().ok(2),
        bounds=bounds(out_of_memory_kills=0),
    ),
    story(
        "its commands were ended at its bound, and it fails",
        F.LIMIT_MEMORY,
        "limit",
        says="at their bound",
        confidence="inferred",
        process=process(1),
        calls=Wire().ok(2),
        bounds=bounds(memory_peak_bytes=1000, out_of_memory_kills=3),
    ),
    story(
        "its commands were ended at its bound, and it gets over it",
        None,
        "completed",
        calls=Wire().ok(2),
        bounds=bounds(memory_peak_bytes=1000, out_of_memory_kills=3),
    ),
    story(
        "it fails after processes were refused",
        F.LIMIT_PROCESSES,
        "limit",
        says="7 processes were refused",
        confidence="inferred",
        process=process(2),
        stderr=["sh: 1: Cannot fork"],
        calls=Wire().ok(2),
        bounds=bounds(refused_processes=7),
    ),
    story(
        "it asks for more memory at once than there is",
        F.AGENT_CRASH,
        "agent_error",
        ("stderr.log.zst", 1),
        confidence="inferred",
        process=process(1),
        stderr=["MemoryError"],
        calls=Wire().ok(2),
        bounds=bounds(out_of_memory_kills=0),
    ),
    story(
        "its own temporary folder is full, and the disk is not",
        F.LIMIT_DISK,
        "limit",
        says="such as /tmp",
        confidence="inferred",
        process=process(1),
        stderr=["OSError: [Errno 28] No space left on device"],
        calls=Wire().ok(2),
        bounds=bounds(disk_least_free_bytes=1 << 30),
    ),
    story(
        "the disk is full",
        F.DISK_FULL,
        "infra_error",
        process=process(1),
        stderr=["OSError: [Errno 28] No space left on device"],
        calls=Wire().ok(2),
        bounds=bounds(disk_least_free_bytes=1 << 20),
    ),
    story(
        "the provider fails while memory runs out",
        F.LIMIT_MEMORY,
        "limit",
        process=process(None, signal=9, stopped_by=StopCause.MEMORY),
        calls=Wire().ok(2).fails(429, QUOTA, "insufficient_quota", times=4),
        bounds=bounds(memory_peak_bytes=1000, out_of_memory_kills=1),
    ),
]


@pytest.mark.parametrize(
    "told", [*BOUNDED, *HARNESS, *PROVIDER, *STOPPED, *START, *OWN, *NOTHING], ids=lambda s: s.title
)
def test_the_cause_is_what_ended_the_attempt(told: Story, tmp_path: Path) -> None:
    status = derive(write_attempt(tmp_path, **told.facts))
    found = status.diagnosis
    assert (found.failure if found else None, status.run) == (told.failure, told.run), found
    if found is None:
        return
    assert told.says in found.message
    assert found.confidence == told.confidence
    assert found.evidence
    assert all(e.line is not None for e in found.evidence), found.evidence
    if told.where is not None:
        first = found.evidence[0]
        assert first.file == told.where[0]
        assert told.where[1] is None or first.line == told.where[1]


def test_evidence_in_the_record_and_in_logs_is_found_at_the_line_it_names(tmp_path: Path) -> None:
    lines = [
        "\x0c a form feed is no new line \u2028 nor is this",
        "progress\rprogress",
        "Error: Config file not found.",
    ]
    store = write_attempt(tmp_path, process=process(2), stderr=lines)
    found = derive(store).diagnosis
    assert found is not None
    log, record = found.evidence
    assert (log.line, log.excerpt) == (3, lines[2])
    assert record.line is not None
    assert (
        (store.folder / "attempt.json").read_text().split("\n")[record.line - 1].strip()
        == record.excerpt
        == '"exit_code": 2,'
    )


def test_the_words_that_count_are_shown_even_from_a_very_long_line(tmp_path: Path) -> None:
    line = '{"filler": "' + "x" * 2000 + '", "errors": ["ENOSPC: no space left on device, write"]}'
    found = derive(write_attempt(tmp_path, process=process(1), stdout=[line])).diagnosis
    assert found is not None
    assert found.failure is F.DISK_FULL
    assert "no space left on device" in found.message
    assert "no space left on device" in found.evidence[0].excerpt


def test_secrets_and_terminal_codes_never_reach_a_diagnosis(tmp_path: Path) -> None:
    key = "sk-proj-abcdefghijklmnop1234567890"
    calls = Wire().fails(401, f"Incorrect API key provided: {key}.\x1b[31m\x00 red")
    text = derive(write_attempt(tmp_path, calls=calls, process=process(1))).model_dump_json()
    assert key not in text
    assert "\\u001b" not in text
    assert "\\u0000" not in text


def test_ten_retries_of_one_request_are_ten_calls_and_one_cause(tmp_path: Path) -> None:
    status = derive(write_attempt(tmp_path, calls=Wire().ok(2).fails(400, f"{NO_OUTPUT} " * 21, times=10)))
    assert (status.calls, status.failed_calls) == (12, 10)
    assert status.diagnosis is not None
    assert "the last 10 of 12 model calls failed" in status.diagnosis.message
