"""Claude Code's records: the lines of `stream-json`, or the one result line of `json`."""

from typing import Any

from speedproof.agents.reading import mapping, sequence, text
from speedproof.archives.gathered import Gathered, Naming, at_line, number, whole
from speedproof.archives.kind import Content
from speedproof.archives.settings import recorded
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.foreign_parts import UsageSource
from speedproof.journal.usage import Usage, token_count, total_usage

_ITS_OWN = "<synthetic>"


def read_result(found: Gathered, content: Content) -> None:
    """Its last `result` line: what it used by model, what it cost, whether it failed. Its subtype says success even
    when the provider refused."""
    result: dict[str, Any] | None = None
    at = 1
    version = model = None
    answers: dict[str, dict[str, Any]] = {}
    message = None
    for line, event in content.lines:
        match event.get("type"):
            case "system" if event.get("subtype") == "init":
                version = text(event.get("claude_code_version"), 40)
                model = text(event.get("model"), 200) or model
                if not found.settings:
                    for name in ("model", "permissionMode", "output_style"):
                        recorded(found.settings, name, event.get(name), content.name, line)
            case "assistant":
                answer = mapping(event.get("message"))
                if answer.get("model") != _ITS_OWN:
                    answers[str(answer.get("id"))] = answer
                    said = [text(mapping(part).get("text")) for part in sequence(answer.get("content"))]
                    message = next((words for words in reversed(said) if words), message)
            case "result":
                result, at = event, line
    found.agents.append(Naming("claude", at_line(content.name, content.data, at), version=version))
    if model:
        found.model_asked = Naming(model, at_line(content.name, content.data, 1))
    if result is None:
        found.closed = False
        _use(found, content, None, {}, _by_model(answers))
        found.outcome = AgentOutcome(finished=False, message=message)
        return
    _read_models(found, content, at, result)
    error = _failure(result)
    if error:
        found.said.append((error, at_line(content.name, content.data, at)))
    seconds = number(result.get("duration_ms"))
    found.wall_s = seconds / 1000 if seconds else None
    cost = number(result.get("total_cost_usd"))
    found.billed_usd = cost if cost is not None and cost >= 0 else None
    found.closed, found.outcome_place = True, at_line(content.name, content.data, at)
    found.steps = whole(result.get("num_turns"))
    found.outcome = AgentOutcome(
        finished=error is None,
        claims_success=False if error else None,
        message=text(result.get("result")) or message,
        error=error,
        error_file=content.name if error else None,
        error_line=at if error else None,
        steps=found.steps,
        usage=found.usages[0].usage if found.usages else None,
        cost_usd=found.billed_usd,
    )


def _failure(result: dict[str, Any]) -> str | None:
    if result.get("is_error") is False and result.get("subtype") == "success":
        return None
    listed = [text(each) for each in sequence(result.get("errors"))]
    kind = text(result.get("subtype"), 200) or "the result says neither success nor error"
    return text(result.get("result")) or next((each for each in listed if each), kind)


def _read_models(found: Gathered, content: Content, line: int, result: dict[str, Any]) -> None:
    models = {
        name[:200]: Usage(
            uncached_input=token_count(mapping(each).get("inputTokens")),
            cache_read=token_count(mapping(each).get("cacheReadInputTokens")),
            cache_write=token_count(mapping(each).get("cacheCreationInputTokens")),
            output=token_count(mapping(each).get("outputTokens")),
        )
        for name, each in list(mapping(result.get("modelUsage")).items())[:50]
    }
    if not models:
        each = mapping(result.get("usage"))
        whole_usage = _usage(each)
        models = {"": whole_usage} if whole_usage.total else {}
    _use(found, content, line, result, models)


def _use(found: Gathered, content: Content, line: int | None, result: dict[str, Any], models: dict[str, Usage]) -> None:
    whole_usage = total_usage(models.values())[0]
    if not any(whole_usage.model_dump().values()):
        return
    ranked = sorted((name for name in models if name), key=lambda name: -(models[name].output or 0))
    found.models += [Naming(name, at_line(content.name, content.data, line or 1)) for name in ranked[:20]]
    found.usages.append(
        UsageSource(
            source="agent_result" if line else "trajectory",
            file=content.name,
            line=line,
            place="modelUsage" if result.get("modelUsage") else "usage",
            usage=whole_usage,
            input=whole_usage.uncached_input,
            records=max(1, len(models)),
            models={name: each for name, each in list(models.items())[:20] if name},
        )
    )


def _by_model(answers: dict[str, dict[str, Any]]) -> dict[str, Usage]:
    models: dict[str, list[Usage]] = {}
    for answer in answers.values():
        models.setdefault(text(answer.get("model"), 200) or "", []).append(_usage(mapping(answer.get("usage"))))
    return {name: total_usage(each)[0] for name, each in models.items()}


def _usage(numbers: dict[str, Any]) -> Usage:
    return Usage(
        uncached_input=token_count(numbers.get("input_tokens")),
        cache_read=token_count(numbers.get("cache_read_input_tokens")),
        cache_write=token_count(numbers.get("cache_creation_input_tokens")),
        output=token_count(numbers.get("output_tokens")),
    )
