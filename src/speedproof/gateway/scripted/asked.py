"""A request as the scripted model understands it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from speedproof.gateway.protocols import Route
from speedproof.gateway.protocols.dialect import Dialect, Tool, Unreadable, find_illegal
from speedproof.gateway.upstream import Request
from speedproof.journal.base import canonical_json

_RUNNING = re.compile(r"Process running with session ID (\d+)")
_POLLS = {"write_stdin"}


@dataclass(frozen=True)
class Asked:
    """A request as the model understands it."""

    model: str
    stream: bool
    body: dict[str, Any]
    tools: tuple[Tool, ...]
    parts: tuple[str, ...]
    """Canonical text of tools and instructions, then of each entry."""
    turns: int
    """Answers of a model in the conversation; waiting for a running command is none."""
    said: tuple[Any, ...]
    """The model's entries, as they stand in the request."""
    running: int | None
    """Codex's number of the command that still ran when the last turn's output was taken; null: none."""


def read_asked(where: Route, dialect: Dialect, request: Request) -> Asked:
    """Read a request. Raises Unreadable where a strict provider answers 400."""
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Unreadable("We could not parse the JSON body of your request.")
    model = dialect.model(body, where.path)
    if model is None:
        raise Unreadable("you must provide a model parameter")
    if body.get("previous_response_id"):
        raise Unreadable(
            f"Previous response with id '{body['previous_response_id']}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )
    if dialect.name == "gemini" and dialect.streams(body, where.path) and "alt=sse" not in request.query.split("&"):
        raise Unreadable("The scripted model streams events only: ask with alt=sse.", "alt")
    conversation = dialect.conversation(body)
    illegal = find_illegal(dialect, conversation)
    if illegal:
        raise dialect.refusal(illegal[0])
    try:
        parts = tuple(canonical_json(part) for part in (conversation.head, *(e.raw for e in conversation.entries)))
    except RecursionError as error:
        raise Unreadable("The request is nested too deeply.") from error
    turns: list[set[str]] = []
    answering = False
    for entry in conversation.entries:
        if entry.by_model and not (answering and dialect.items):
            turns.append(set())
        answering = entry.by_model
        if turns and entry.by_model:
            turns[-1] |= {use.name for use in entry.uses}
    shell = bool(turns) and bool({"exec_command", *_POLLS} & turns[-1])
    running = _RUNNING.search(parts[-1]) if shell else None
    return Asked(
        model=model,
        stream=dialect.streams(body, where.path),
        body=body,
        tools=dialect.tools(body),
        parts=parts,
        turns=sum(1 for names in turns if not _POLLS & names),
        said=tuple(entry.raw for entry in conversation.entries if entry.by_model),
        running=int(running.group(1)) if running else None,
    )
