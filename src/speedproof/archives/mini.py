"""mini-swe-agent's trajectory: how it ended, its messages and what each answer used."""

from typing import Any

from speedproof.agents.reading import mapping, sequence, text
from speedproof.archives.gathered import Gathered, Naming, number, place
from speedproof.archives.kind import Content
from speedproof.archives.patch import patch_of
from speedproof.archives.prompt import better, of_record
from speedproof.archives.settings import read_block
from speedproof.archives.shown import added_lines
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.foreign_parts import UsageSource
from speedproof.journal.usage import Usage, token_count, total_usage, usage_of_whole_input


def read_trajectory(found: Gathered, content: Content) -> None:
    """`info.exit_status` says how it ended; `messages[].extra.response.usage` what it used."""
    value, file, data = content.mapping, content.name, content.data
    info = mapping(value.get("info"))
    messages = [mapping(message) for message in sequence(value.get("messages"))]
    version = text(info.get("mini_version"), 40)
    found.agents.append(Naming("mini", place(file, data, "exit_status"), version=version))
    status = text(info.get("exit_status"), 200)
    stats = mapping(info.get("model_stats"))
    config = mapping(mapping(info.get("config")).get("model"))
    if asked := text(config.get("model_name"), 200):
        found.model_asked = Naming(asked, place(file, data, "model_name"))
    _read_config(found, content, mapping(info.get("config")))
    told = next((m.get("content") for m in messages if m.get("role") == "user"), None)
    found.prompt = better(found.prompt, of_record(file, told))
    submission = info.get("submission")
    if isinstance(submission, str) and (not submission or "diff --git " in submission[:10_000]):
        patch = submission.encode(errors="replace")
        found.patch, found.patch_lines = patch_of(file, patch), list(added_lines(patch))
    answers = [mapping(mapping(message.get("extra")).get("response")) for message in messages]
    _use(found, content, [answer for answer in answers if answer])
    ending = place(file, data, "exit_status")
    error = None
    if status is not None and status != "Submitted":
        last = mapping(messages[-1].get("extra")) if messages else {}
        error = text(last.get("exception_str")) or status
        key = "exception_str" if last.get("exception_str") else "exit_status"
        found.said.append((error, place(file, data, key, last=True)))
    said = [text(message.get("content")) for message in messages if message.get("role") == "assistant"]
    found.closed = status is not None
    found.steps = found.answers = token_count(stats.get("api_calls"))
    cost = number(stats.get("instance_cost"))
    found.billed_usd = cost or None  # it writes 0 where it does not know the price
    found.outcome = AgentOutcome(
        finished=status == "Submitted",
        claims_success=None if status is None else status == "Submitted",
        message=next((words for words in reversed(said) if words), None),
        error=error,
        error_file=file if error else None,
        steps=found.steps,
    )
    found.outcome_place = ending
    found.item = text(value.get("instance_id"), 200)


def _read_config(found: Gathered, content: Content, config: dict[str, Any]) -> None:
    """The block of its configuration: what stands in model_kwargs goes into each request."""
    model = dict(mapping(config.get("model")))
    asked = {name: model.pop(name) for name in ("model_name", "model_kwargs") if name in model}
    prefix = "info.config"
    read_block(found.settings, content.name, content.data, asked, f"{prefix}.model", "sent")
    rest = {name: block for name, block in {**config, "model": model}.items() if isinstance(block, dict)}
    read_block(found.settings, content.name, content.data, rest, prefix, "configured")


def _use(found: Gathered, content: Content, answers: list[dict[str, Any]]) -> None:
    models: dict[str, list[Usage]] = {}
    impossible: list[str] = []
    wrong: list[Usage] = []
    told = unknown = 0
    for index, answer in enumerate(answers):
        numbers = mapping(answer.get("usage"))
        cached = mapping(numbers.get("prompt_tokens_details")).get("cached_tokens")
        reasoning = mapping(numbers.get("completion_tokens_details")).get("reasoning_tokens")
        whole = token_count(numbers.get("prompt_tokens"))
        usage = usage_of_whole_input(whole, cached, numbers.get("completion_tokens"), reasoning=reasoning)
        if usage is None:
            unknown += 1
            continue
        if whole is not None and (token_count(cached) or 0) > whole:
            impossible.append(f"answer {index + 1}: {cached} cached of {whole} input tokens")
            wrong.append(usage)
        told += whole or 0
        models.setdefault(text(answer.get("model"), 200) or "", []).append(usage)
    for name in list(models)[:20]:
        if name:
            found.models.append(Naming(name, place(content.name, content.data, "model", f'"{name}"')))
    if models:
        found.usages.append(
            UsageSource(
                source="trajectory",
                file=content.name,
                place="messages[*].extra.response.usage",
                usage=total_usage(each for of_model in models.values() for each in of_model)[0],
                input=told,
                records=sum(map(len, models.values())),
                unknown=unknown,
                models={name: total_usage(each)[0] for name, each in list(models.items())[:20] if name},
                impossible=tuple(impossible[:20]),
                impossible_usage=total_usage(wrong)[0],
            )
        )
