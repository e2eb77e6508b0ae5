"""Answers of Gemini generateContent: a response, a stream of them, or a stream as one JSON array."""

from dataclasses import dataclass, field
from typing import Any

from speedproof.gateway.protocols.answer import AnswerReader, mapping, objects, parsed
from speedproof.gateway.sse import Event
from speedproof.journal import Usage
from speedproof.journal.provider import read_error
from speedproof.journal.usage import token_count, usage_of_whole_input


@dataclass
class GeminiReader(AnswerReader):
    """Reads one answer."""

    seen: set[Any] = field(default_factory=set)
    """Candidates of which anything came."""
    ended: set[Any] = field(default_factory=set)
    """Candidates whose reason to finish came."""
    blocked: bool = False
    """Whether the prompt was refused, so that there is no candidate."""

    def read_json(self, body: bytes, status: int) -> None:
        chunks = parsed(body) if status < 400 and body[:100].lstrip().startswith(b"[") else None
        if isinstance(chunks, list):  # a stream without alt=sse
            for chunk in objects(chunks):
                self._chunk(chunk)
        else:
            super().read_json(body, status)
        if self.error is not None:
            self.error_code = read_error({}, body)[0] or self.error_code

    def read_answer(self, answer: dict[str, Any]) -> None:
        self._read(answer)

    def read_data(self, event: Event, value: dict[str, Any]) -> None:
        self._chunk(value)
        if value.get("error"):
            self.error_code = read_error({}, event.data.encode(errors="replace"))[0] or self.error_code

    def _chunk(self, value: dict[str, Any]) -> None:
        """A piece of a stream; each carries the counts so far, so that only the last one's are final."""
        self.read_error(value.get("error"))
        self._read(value)
        self.complete = self.blocked or (bool(self.ended) and self.ended == self.seen)

    def _read(self, answer: dict[str, Any]) -> None:
        self.read_model(answer.get("modelVersion"))
        self.usage = _usage(mapping(answer.get("usageMetadata"))) or self.usage
        if reason := mapping(answer.get("promptFeedback")).get("blockReason"):
            self.blocked, self.finish_reason = True, str(reason)[:200]
        for candidate in objects(answer.get("candidates")):
            index = token_count(candidate.get("index")) or 0
            self.seen.add(index)
            for part in objects(mapping(candidate.get("content")).get("parts")):
                self._part(part)
            if reason := candidate.get("finishReason"):
                self.ended.add(index)
                self.finish_reason = str(reason)[:200]

    def _part(self, part: dict[str, Any]) -> None:
        if "functionCall" in part:
            self.add_call(mapping(part["functionCall"]).get("name"))
        elif part.get("thought") is True:
            self.add_written(part.get("text"))
        else:
            self.add_text(part.get("text"))


def _usage(numbers: dict[str, Any]) -> Usage | None:
    """Google's input holds the cached part, but not what its own tools brought; its output is without the thoughts.
    Where it counts at all, a count that is left out is 0; the output follows from the total while none is written."""
    counts = {name: token_count(value) for name, value in numbers.items()}
    prompt, total, written = (counts.get(n) for n in ("promptTokenCount", "totalTokenCount", "candidatesTokenCount"))
    brought = counts.get("toolUsePromptTokenCount") or 0
    known = None if prompt is None else 0
    thoughts = counts.get("thoughtsTokenCount", known)
    output = None if written is None else written + (thoughts or 0)
    if output is None and prompt is not None and total is not None:
        output = token_count(total - prompt - brought)
    whole = None if prompt is None else prompt + brought
    return usage_of_whole_input(whole, counts.get("cachedContentTokenCount", known), output, reasoning=thoughts)
