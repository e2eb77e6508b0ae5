"""Codex's records: its console on standard error, the events of `exec --json`, and the rollouts of its sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from speedproof.agents.reading import mapping, text
from speedproof.archives.gathered import Gathered, Naming, at_line
from speedproof.archives.kind import Content
from speedproof.archives.log import Log
from speedproof.archives.prompt import better, of_record
from speedproof.archives.settings import MOST, as_text, recorded
from speedproof.diagnosis.facts import excerpt
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.base import Evidence
from speedproof.journal.foreign_parts import UsageSource
from speedproof.journal.usage import Usage, usage_of_whole_input


def read_console(found: Gathered, log: Log) -> None:
    """The banner names version and model, the end one number of tokens."""
    if log.codex is None:
        return
    where = Evidence(file=log.file, line=log.codex.line, excerpt=excerpt(log.codex.text))
    found.agents.append(Naming("codex", where, version=log.codex_version))
    if log.codex_model is not None:
        name = log.codex_model.text.removeprefix("model: ").strip()[:200]
        at = Evidence(file=log.file, line=log.codex_model.line, excerpt=excerpt(log.codex_model.text))
        found.models.append(Naming(name, at, direct=False))
        found.model_asked = found.model_asked or Naming(name, at)
    for name, value, line in log.codex_settings:
        recorded(found.settings, name, value, log.file, line)
    if log.tokens_used is not None:
        line, total = log.tokens_used
        found.usages.append(UsageSource(source="total_only", file=log.file, line=line, usage=Usage(), total=total))


def read_answer(found: Gathered, logs: Sequence[Log]) -> None:
    """Its console goes to standard error; standard output gets its last message, and that only at its end."""
    if found.outcome is not None or not any(log.codex for log in logs):
        return
    for log in logs:
        if "stdout" in log.file and log.tail and log.codex is None and log.trae is None:
            number, _ = log.tail[-1]
            found.outcome_place = Evidence(file=log.file, line=number, excerpt=excerpt(log.tail[-1][1]))
            message = text("\n".join(line for _, line in reversed(log.tail)))
            found.outcome = AgentOutcome(finished=True, message=message)
            found.closed = True


def read_events(found: Gathered, content: Content) -> None:
    """The events of `codex exec --json`: the last turn says how it ended and what it used."""
    first = content.lines[0][0] if content.lines else 1
    found.agents.append(Naming("codex", at_line(content.name, content.data, first)))
    finished: bool | None = None
    message = error = None
    line = None
    for number, event in content.lines:
        match event.get("type"):
            case "thread.started" | "turn.started":
                finished = False
            case "turn.completed":
                finished, error = True, None
                _use(found, content, number, event.get("usage"), "agent_result")
                found.outcome_place = at_line(content.name, content.data, number)
            case "turn.failed":
                finished, line = False, number
                error = text(mapping(event.get("error")).get("message")) or "turn.failed"
            case "error":
                error, line = text(event.get("message")), number
            case "item.completed":  # an item of type "error" is but a warning
                item = mapping(event.get("item"))
                if item.get("type") == "agent_message":
                    message = text(item.get("text")) or message
    found.closed = bool(finished) or error is not None
    if error and line:
        found.said.append((error, at_line(content.name, content.data, line)))
    found.outcome = AgentOutcome(
        finished=finished,
        claims_success=False if error else None,
        message=message,
        error=error,
        error_file=content.name if error else None,
        error_line=line if error else None,
        steps=None,
    )


def read_rollout(found: Gathered, content: Content) -> None:
    """A session file: its first line names the version, its turns the model, its token counts run to the end."""
    steps = 0
    message = None
    closed = False
    errors: list[tuple[str, int]] = []
    for number, line in content.lines:
        payload = mapping(line.get("payload"))
        moment = _time(line.get("timestamp"))
        found.began = found.began or moment
        found.ended = moment or found.ended
        match line.get("type"), payload.get("type"):
            case "session_meta", _:
                version = text(payload.get("cli_version"), 40)
                if not found.agents:
                    found.agents.append(Naming("codex", at_line(content.name, content.data, number), version=version))
            case "turn_context", _:
                _configure(found, content, number, payload)
                if not found.models and (model := text(payload.get("model"), 200)):
                    found.models.append(Naming(model, at_line(content.name, content.data, number)))
                    found.model_asked = found.models[0]
            case "event_msg", "token_count":
                _use(found, content, number, mapping(payload.get("info")).get("total_token_usage"), "trajectory")
            case "event_msg", "agent_message":
                message = text(payload.get("message")) or message
            case "event_msg", "user_message":
                found.prompt = better(found.prompt, of_record(content.name, payload.get("message")))
            case "event_msg", "task_complete":
                closed, found.outcome_place = True, at_line(content.name, content.data, number)
            case "event_msg", "error" | "stream_error":
                if error := text(payload.get("message")):
                    errors.append((error, number))
            case "response_item", "function_call" | "local_shell_call" | "custom_tool_call":
                steps += 1
    for error, number in [*errors[:20], *errors[20:][-1:]]:
        found.failed_steps.append((error, at_line(content.name, content.data, number)))
    if not found.agents:
        found.agents.append(Naming("codex", at_line(content.name, content.data, 1), direct=False))
    if found.failed_steps and not closed:
        found.said.append(found.failed_steps[-1])
    found.closed = closed
    found.steps = steps
    found.outcome = AgentOutcome(finished=closed, message=message, steps=steps)


_TURN = ("model", "effort", "approval_policy", "sandbox_policy", "sandbox_mode", "summary")


def _configure(found: Gathered, content: Content, line: int, turn: dict[str, Any]) -> None:
    """What a turn is made with, where it is not what the turn before was made with."""
    for name in _TURN:
        value = turn.get(name)
        value = mapping(value).get("type") or mapping(value).get("mode") if isinstance(value, dict) else value
        path = f"turn_context.{name}"
        before = next((each.value for each in reversed(found.settings) if each.path == path), None)
        if value is not None and before != as_text(value) and len(found.settings) < MOST:
            recorded(found.settings, path, value, content.name, line)


def _use(found: Gathered, content: Content, line: int, value: Any, source: Any) -> None:
    numbers = mapping(value)
    usage = usage_of_whole_input(
        numbers.get("input_tokens"),
        numbers.get("cached_input_tokens"),
        numbers.get("output_tokens"),
        cache_write=numbers.get("cache_write_input_tokens"),
        reasoning=numbers.get("reasoning_output_tokens"),
    )
    if usage is None:
        return
    told, cached = numbers.get("input_tokens"), numbers.get("cached_input_tokens")
    wrong = isinstance(told, int) and isinstance(cached, int) and cached > told
    found.usages = [each for each in found.usages if (each.source, each.file) != (source, content.name)]
    found.usages.append(
        UsageSource(
            source=source,
            file=content.name,
            line=line,
            usage=usage,
            input=usage.input if not wrong else told,
            impossible=(f"{cached} cached of {told} input tokens",) if wrong else (),
            impossible_usage=usage if wrong else Usage(),
        )
    )


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 50 else None
    except ValueError:
        return None
