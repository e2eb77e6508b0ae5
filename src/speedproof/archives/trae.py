"""TRAE's records: the trajectory that it writes, and its console."""

from datetime import datetime
from typing import Any

from speedproof.agents.reading import mapping, sequence, text
from speedproof.archives.gathered import Gathered, Naming, find_key, number, place, place_at
from speedproof.archives.kind import Content
from speedproof.archives.log import Log
from speedproof.archives.prompt import better, of_record
from speedproof.archives.settings import line_of, recorded
from speedproof.diagnosis.facts import excerpt
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.base import Evidence
from speedproof.journal.foreign_parts import UsageSource
from speedproof.journal.usage import Usage, token_count, total_usage, usage_of_whole_input

_APART = {"anthropic", "bedrock"}
"""Providers whose input tokens do not hold the cached part."""
_PLACED = 20
"""Errors and models whose place is looked up; finding one costs a pass over the file."""


def read_trajectory(found: Gathered, content: Content) -> None:
    """The trajectory: usage of each answer, errors of steps, its own end."""
    value, file, data = content.mapping, content.name, content.data
    provider = text(value.get("provider"), 100)
    opening = place(file, data, "start_time")
    found.agents.append(Naming("trae", opening))
    asked = text(value.get("model"), 200)
    if asked:
        found.model_asked = Naming(asked, place(file, data, "model", '"'))
    for name in ("provider", "model", "max_steps"):
        recorded(found.settings, name, value.get(name), file, line_of(data, name))
    found.prompt = better(found.prompt, of_record(file, value.get("task")))
    answers = _read_answers(found, content, apart=provider in _APART)
    steps = [mapping(step) for step in sequence(value.get("agent_steps"))]
    _read_steps(found, steps, file, data)
    result = text(value.get("final_result"))
    success, ended = value.get("success") is True, text(value.get("end_time"), 100)
    ending = place(file, data, "success", last=True)
    found.closed = ended is not None
    if steps and (error := text(steps[-1].get("error"))):
        found.said.append((error, found.failed_steps[-1][1]))
    if ended and not success and result:
        found.said.append((result, place(file, data, "final_result", last=True)))
    found.began, found.ended = _time(value.get("start_time")), _time(ended)
    seconds = number(value.get("execution_time"))
    found.wall_s = seconds if ended and seconds else None
    said = found.said[0] if found.said else None
    used = next((source.usage for source in found.usages if source.source == "trajectory"), None)
    found.outcome = AgentOutcome(
        finished=success,
        claims_success=success if ended else None,
        message=next((words for a in reversed(answers) if (words := text(a.get("content")))), None) or result,
        error=said[0] if said else None,
        error_file=file if said else None,
        error_line=said[1].line if said else None,
        steps=len(steps),
        usage=used,
    )
    found.outcome_place = ending
    found.steps, found.answers = len(steps), len(answers)


def _read_steps(found: Gathered, steps: list[dict[str, Any]], file: str, data: bytes | None) -> None:
    begin = 0
    failed = [(step, error) for step in steps if (error := text(step.get("error"))) is not None]
    for index, (step, error) in enumerate(failed):
        where = Evidence(file=file)
        if data is not None and (index < _PLACED or index == len(failed) - 1):
            begin = max(find_key(data, "step_number", str(step.get("step_number")), begin), 0)
            at = find_key(data, "error", f'"{error[:8]}', begin)
            at = at if at >= 0 else find_key(data, "error", '"', begin)
            if at >= 0:
                where, begin = place_at(file, data, at), at
        found.failed_steps.append((error, where))


def _read_answers(found: Gathered, content: Content, *, apart: bool) -> list[dict[str, Any]]:
    answers = [mapping(mapping(each).get("response")) for each in sequence(content.mapping.get("llm_interactions"))]
    usages: list[Usage] = []
    models: dict[str, list[Usage]] = {}
    impossible: list[str] = []
    wrong: list[Usage] = []
    whole_input = unknown = 0
    for index, answer in enumerate(answers):
        numbers = mapping(answer.get("usage"))
        usage = _usage(numbers, apart=apart)
        if usage is None:
            unknown += 1
            continue
        read, told = token_count(numbers.get("cache_read_input_tokens")), token_count(numbers.get("input_tokens"))
        if not apart and read is not None and told is not None and read > told:
            impossible.append(f"llm_interactions[{index}]: {read} cached of {told} input tokens")
            wrong.append(usage)
        whole_input += told or 0
        usages.append(usage)
        models.setdefault(text(answer.get("model"), 200) or "", []).append(usage)
    for name in list(models)[:_PLACED]:
        if name:
            where = place(content.name, content.data, "model", f'"{name}"')
            found.models.append(Naming(name, where))
    if usages:
        found.usages.append(
            UsageSource(
                source="trajectory",
                file=content.name,
                place="llm_interactions[*].response.usage",
                usage=total_usage(usages)[0],
                input=whole_input,
                records=len(usages),
                unknown=unknown,
                models={name: total_usage(each)[0] for name, each in list(models.items())[:_PLACED] if name},
                impossible=tuple(impossible[:20]),
                impossible_usage=total_usage(wrong)[0],
            )
        )
    return answers


def _usage(numbers: dict[str, Any], *, apart: bool) -> Usage | None:
    if not numbers.get("input_tokens") and not numbers.get("output_tokens"):
        return None  # it writes 0 for unknown
    reasoning = numbers.get("reasoning_tokens")
    if apart:
        return Usage(
            uncached_input=token_count(numbers.get("input_tokens")),
            cache_read=token_count(numbers.get("cache_read_input_tokens")),
            cache_write=token_count(numbers.get("cache_creation_input_tokens")),
            output=token_count(numbers.get("output_tokens")),
            reasoning=token_count(reasoning),
        )
    return usage_of_whole_input(
        numbers.get("input_tokens"),
        numbers.get("cache_read_input_tokens"),
        numbers.get("output_tokens"),
        reasoning=reasoning,
    )


def read_console(found: Gathered, log: Log) -> None:
    """What its console tells: running totals, the summary box, the error by which it ended."""
    if log.trae is not None and (log.box or log.steps or log.first_total):
        found.agents.append(Naming("trae", Evidence(file=log.file, line=log.trae.line, excerpt=excerpt(log.trae.text))))
    elif log.trae is not None:
        where = Evidence(file=log.file, line=log.trae.line, excerpt=excerpt(log.trae.text))
        found.agents.append(Naming("trae", where, direct=False))
    boxed = _count(log.box.get("Input Tokens")), _count(log.box.get("Output Tokens"))
    if None not in boxed:
        found.usages.append(
            UsageSource(
                source="summary_box",
                file=log.file,
                line=log.box_line,
                usage=Usage(output=boxed[1]),
                input=boxed[0],
            )
        )
    if log.last_total is not None:
        line, inputs, outputs = log.last_total
        found.usages.append(
            UsageSource(
                source="last_cumulative_line", file=log.file, line=line, usage=Usage(output=outputs), input=inputs
            )
        )
    seconds = (log.box.get("Execution Time") or "").removesuffix("s")
    if found.wall_s is None and seconds.replace(".", "", 1).isdigit():
        found.wall_s = float(seconds)
    if log.success is not None and found.outcome is None:
        found.outcome = AgentOutcome(
            finished=log.success, claims_success=log.success, steps=_count(log.box.get("Steps")) or log.greatest_step
        )
        found.outcome_place = Evidence(file=log.file, line=log.box_line, excerpt="Execution Summary")
        found.closed = True


def _count(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and len(value) < 16 else None


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and len(value) < 50 else None
    except ValueError:
        return None
