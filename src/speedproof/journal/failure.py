"""What may go wrong: the failure classes (DESIGN, section 8) and the diagnosis an unfinished attempt must have."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from speedproof.journal.base import Evidence, Record


class FailureClass(StrEnum):
    """The leaf classes of the failure tree; the value is the path from the party at fault to the leaf."""

    CONFIG_MISSING = "infrastructure/harness/config_missing"
    CONFIG_INVALID = "infrastructure/harness/config_invalid"
    AGENT_NOT_FOUND = "infrastructure/harness/agent_not_found"
    AGENT_IMPORT_ERROR = "infrastructure/harness/agent_import_error"
    DEFECT = "infrastructure/harness/defect"
    SANDBOX = "infrastructure/sandbox"
    PERMISSION_DENIED = "infrastructure/permission_denied"
    DISK_FULL = "infrastructure/disk_full"
    OUT_OF_MEMORY = "infrastructure/out_of_memory"
    NETWORK = "infrastructure/network"
    INTERRUPTED = "infrastructure/interrupted"

    BAD_KEY = "model/auth/bad_key"
    LOGIN_EXPIRED = "model/auth/login_expired"
    FORBIDDEN = "model/auth/forbidden"
    QUOTA_EXHAUSTED = "model/quota/exhausted"
    USAGE_LIMIT = "model/quota/usage_limit"
    RATE_LIMITED = "model/rate_limited"
    SERVER_ERROR = "model/server_error"
    BAD_REQUEST = "model/bad_request"
    MODEL_NOT_FOUND = "model/model_not_found"
    STREAM_BROKEN = "model/stream_broken"

    AGENT_CRASH = "agent/crash"
    TOOL_OUTPUT_MISSING = "agent/protocol/tool_output_missing"
    TOOL_CALL_MISSING = "agent/protocol/tool_call_missing"
    TOOL_ARGS_MALFORMED = "agent/protocol/tool_args_malformed"
    EMPTY_TOOL_RESULT = "agent/protocol/empty_tool_result"
    LIMIT_TIME = "agent/limit/time"
    LIMIT_STEPS = "agent/limit/steps"
    LIMIT_COST = "agent/limit/cost"
    LIMIT_TOKENS = "agent/limit/tokens"
    LIMIT_MEMORY = "agent/limit/memory"
    LIMIT_PROCESSES = "agent/limit/processes"
    LIMIT_DISK = "agent/limit/disk"
    GAVE_UP = "agent/gave_up"
    NO_PATCH = "agent/no_patch"
    CONTEXT_OVERFLOW = "agent/context_overflow"
    HANG = "agent/hang"
    KILLED = "agent/killed"

    BASE_BROKEN = "task/base_broken"
    SETUP_FAILED = "task/setup_failed"
    WORKLOAD_BROKEN = "task/workload_broken"
    EXPERT_NOT_FASTER = "task/expert_not_faster"
    ANSWER_LEAKED = "task/answer_leaked"

    @property
    def fault(self) -> str:
        """The party at fault: infrastructure, model, agent or task."""
        return self.value.split("/", 1)[0]

    @property
    def info(self) -> "FailureInfo":
        """Whether another try may help, and what to do next."""
        return _INFO[self]

    def next_step(self, *, own: bool) -> str:
        """What to do next: about an attempt of our own, or about one that another harness made."""
        return self.info.next if own else ELSEWHERE.get(self, self.info.next)


@dataclass(frozen=True)
class FailureInfo:
    """What a class of failure means for the person who must act."""

    transient: bool
    """True when the same attempt, started again later, may well succeed."""
    next: str
    """What to do about an attempt of our own, as an imperative sentence."""


def _info() -> dict[FailureClass, FailureInfo]:
    c = FailureClass
    permanent = {
        c.CONFIG_MISSING: "Create the named file, then run `speedproof doctor`.",
        c.CONFIG_INVALID: "Correct the named setting, then run `speedproof doctor`.",
        c.AGENT_NOT_FOUND: "Install the agent or give its path with --agent-path.",
        c.AGENT_IMPORT_ERROR: "Reinstall the agent's environment: its packages do not fit together.",
        c.DEFECT: "Report this with the attempt's folder: it is a bug of Speedproof.",
        c.SANDBOX: "Run `speedproof doctor` to see what the sandbox lacks.",
        c.PERMISSION_DENIED: "Give the sandbox user access to the named path.",
        c.BAD_KEY: "Set a valid API key in the environment variable the run names.",
        c.LOGIN_EXPIRED: "Log in again with the provider, then start the run again.",
        c.FORBIDDEN: "Ask the provider for access to this model.",
        c.QUOTA_EXHAUSTED: "Add credit or raise the quota with the provider.",
        c.BAD_REQUEST: "Read the provider's answer: it refuses what the agent sends.",
        c.MODEL_NOT_FOUND: "Correct the model's name.",
        c.AGENT_CRASH: "Read the agent's stderr at the evidence.",
        c.TOOL_OUTPUT_MISSING: "Run again with --repair; report the open tool call to the agent's authors.",
        c.TOOL_CALL_MISSING: "The agent sent an output of a tool call it left out; report it to the agent's authors.",
        c.TOOL_ARGS_MALFORMED: "The model wrote tool arguments that do not parse; try another model or sample.",
        c.EMPTY_TOOL_RESULT: "The agent sent an empty tool result; report it to the agent's authors.",
        c.LIMIT_TIME: "Raise limits.wall_s, or accept the result.",
        c.LIMIT_STEPS: "Raise limits.steps (of a whole run: --max-calls), or accept the result.",
        c.LIMIT_COST: "Raise limits.cost_usd (of a whole run: --max-cost), or accept the result.",
        c.LIMIT_TOKENS: "Raise limits.tokens (of a whole run: --max-tokens and its like), or accept the result.",
        c.LIMIT_MEMORY: "Raise limits.memory_mb, or accept the result.",
        c.LIMIT_PROCESSES: "Raise limits.processes, or accept the result.",
        c.LIMIT_DISK: "Raise limits.disk_mb or limits.files, or accept the result.",
        c.GAVE_UP: "None: this is the agent's result.",
        c.NO_PATCH: "None: this is the agent's result.",
        c.CONTEXT_OVERFLOW: "Use a model with a longer context, or an agent that shortens its history.",
        c.HANG: "Read the last calls: it did nothing for limits.idle_s, or for limits.startup_s since its launch.",
        c.BASE_BROKEN: "Mend the task's tests or environment: its base commit must pass.",
        c.SETUP_FAILED: "Mend the task's environment or build command.",
        c.WORKLOAD_BROKEN: "Mend the task's workload and run `speedproof doctor SUITE`.",
        c.EXPERT_NOT_FASTER: "Drop the task or its workload: the expert change is not faster here.",
        c.ANSWER_LEAKED: "Remove the named file or package from what the agent can see.",
    }
    transient = {
        c.DISK_FULL: "Free disk space, then start the run again.",
        c.OUT_OF_MEMORY: "Free memory, then start the run again.",
        c.NETWORK: "Check the connection to the provider, then start the run again.",
        c.INTERRUPTED: "Start the run again: this attempt was cut off from outside.",
        c.USAGE_LIMIT: "Wait until the limit resets, then start the run again.",
        c.RATE_LIMITED: "Wait, then start the run again; --tries and --longest-wait let the gateway wait for longer.",
        c.SERVER_ERROR: "Try again later: the provider failed.",
        c.STREAM_BROKEN: "Try again: the provider's answer broke off.",
        c.KILLED: "Find who killed the agent (out of memory, an operator), then start again.",
    }
    return {k: FailureInfo(False, v) for k, v in permanent.items()} | {
        k: FailureInfo(True, v) for k, v in transient.items()
    }


_INFO = _info()

ELSEWHERE: dict[FailureClass, str] = {
    FailureClass.CONFIG_MISSING: "Put the named file where that harness looks for it.",
    FailureClass.CONFIG_INVALID: "Correct the named setting where that harness reads it.",
    FailureClass.AGENT_NOT_FOUND: "Install the agent, or correct the path by which that harness starts it.",
    FailureClass.DEFECT: "Report this with the attempt's folder to the authors of that harness: it is a bug there.",
    FailureClass.SANDBOX: "Find out what that harness's isolation lacked.",
    FailureClass.PERMISSION_DENIED: "Give the user that ran the agent access to the named path.",
    FailureClass.BAD_KEY: "Set a valid API key where that harness takes it from.",
    FailureClass.RATE_LIMITED: "Wait, then start it again; let the agent retry for longer.",
    FailureClass.TOOL_OUTPUT_MISSING: "Report the open tool call to the agent's authors; `speedproof run --repair` "
    "closes it.",
    FailureClass.LIMIT_TIME: "Give it more time, or accept the result.",
    FailureClass.LIMIT_STEPS: "Raise the agent's limit of steps, or accept the result.",
    FailureClass.LIMIT_COST: "Raise its limit of cost, or accept the result.",
    FailureClass.LIMIT_TOKENS: "Raise its limit of tokens, or accept the result.",
    FailureClass.LIMIT_MEMORY: "Give it more memory, or accept the result.",
    FailureClass.LIMIT_PROCESSES: "Allow it more processes, or accept the result.",
    FailureClass.LIMIT_DISK: "Give it more space, or accept the result.",
    FailureClass.HANG: "Read the end of its logs: it did nothing any more.",
    FailureClass.WORKLOAD_BROKEN: "Mend the task's workload.",
}
"""What to do about an attempt of another harness, where that is something else."""


class Diagnosis(Record):
    """Why something did not finish. A failure without one cannot be recorded."""

    failure: FailureClass
    """The leaf class in the failure tree."""
    message: str
    """One sentence with the particulars, secrets removed."""
    stage: str
    """The stage of the attempt or evaluation in which it happened (prepare, run, collect, tests, measure …)."""
    confidence: Literal["direct", "inferred", "weak"]
    """direct: the evidence states the cause; inferred: it follows from several facts; weak: the best guess."""
    evidence: tuple[Evidence, ...]
    """Where the cause stands; empty only when the cause is a fact of the record itself, named in the message."""
