"""Any program as an agent, by a template: one YAML file says how it is started and what it leaves (docs/agents.md)."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, reported_version
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left
from speedproof.errors import AgentError, InputError
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.base import Record
from speedproof.journal.usage import Usage, usage_of_whole_input
from speedproof.sandbox.box import Mount
from speedproof.sandbox.host import HostSandbox
from speedproof.tasks.suite import invalid, load_yaml
from speedproof.workspace.cache import Progress
from speedproof.workspace.environment import find_interpreter

_PROMPT = "agent/prompt.md"
_PLACEHOLDERS = re.compile(r"\{(prompt_file|workspace|home|model|base_url|token)\}")


class Marker(Record):
    """The end marker: a field with a value."""

    field: str
    """Path of the field, such as result.status."""
    equals: Any
    """The value it has when the agent finished."""


class UsageFields(Record):
    """Where the agent's own count of tokens stands."""

    input: str
    """Path of the field with all input tokens."""
    output: str
    """Path of the field with the output tokens."""
    cache_read: str | None = None
    """Path of the field with the part of the input that came from the provider's cache."""


class OutcomeFields(Record):
    """Where the agent says how it ended. Of several lines the last that has a field counts."""

    file: str
    """A file relative to the agent's home, or stdout."""
    format: Literal["json", "jsonl"] = "jsonl"
    """json: one object; jsonl: an object a line, other lines ignored. Standard output is always read as jsonl."""
    finished: Marker | None = None
    """The agent's end marker."""
    message: str | None = None
    """Path of the field with its closing words."""
    error: str | None = None
    """Path of the field with its error."""
    usage: UsageFields | None = None
    """Its own count of tokens."""


class Template(Record):
    """How a program is started as an agent. In argv, env and files {prompt_file}, {workspace}, {home}, {model},
    {base_url} and {token} are replaced; everything else stays as it is."""

    format: Literal["speedproof/agent/1"]
    """Version of the file's schema."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    """What the agent is called in messages."""
    protocol: Literal["chat", "responses", "messages", "gemini"]
    """What it speaks to its model: OpenAI Chat Completions, OpenAI Responses, Anthropic Messages, Gemini."""
    argv: tuple[str, ...] = Field(min_length=1)
    """Command line, in paths as seen inside the sandbox. Keep the prompt off it: a long one does not fit."""
    env: dict[str, str] = {}
    """Environment variables."""
    stdin: Literal["prompt", "none"] = "none"
    """prompt: the prompt stands on standard input."""
    files: dict[str, str] = {}
    """Files to write before the start: path relative to home → text."""
    mounts: dict[str, str] = {}
    """What must be visible inside, read-only: path inside, at or below /opt/agent → path on this machine, relative to
    the template. Of a Python environment its interpreter is shown, too."""
    version: tuple[str, ...] | None = None
    """Command that prints its version, run on this machine; null: it has none."""
    outcome: OutcomeFields | None = None
    """Where it says how it ended; null: nowhere."""

    @model_validator(mode="after")
    def _sound(self) -> "Template":
        texts = [*self.argv, *self.env, *self.env.values(), *self.files.values()]
        if any("\0" in text for text in (*texts, *self.files)):
            raise ValueError("a NUL character fits neither a command line nor a file")
        if bad := next((name for name in self.env if not name or "=" in name), None):
            raise ValueError(f"env: {bad!r} is no name of a variable")
        names = [*self.files, *([self.outcome.file] if self.outcome else [])]
        if bad := next((name for name in names if not _below_home(name)), None):
            raise ValueError(f"{bad!r} is no path below the agent's home")
        if bad := next((t for t in self.mounts if not re.fullmatch(rf"{INSIDE}(/[\w.+-]+)*", t) or ".." in t), None):
            raise ValueError(f"mounts: {bad!r} stands neither at nor below {INSIDE}")
        if self.stdin != "prompt" and not any("{prompt_file}" in text for text in texts):
            raise ValueError("the prompt reaches it nowhere: use {prompt_file}, or stdin: prompt")
        return self


@dataclass(frozen=True)
class LoadedTemplate:
    """A template with the file it stands in, against which its relative paths are resolved."""

    template: Template
    file: Path


def load_template(path: Path) -> LoadedTemplate:
    """Read and validate a template. Raises InputError naming file, line and field."""
    document = load_yaml(path)
    if not isinstance(document, dict):
        raise InputError("an agent's template is a mapping with `format`, `name` and `argv`", file=path, line=1)
    try:
        return LoadedTemplate(Template.model_validate(document), path)
    except ValidationError as error:
        raise invalid("template", document, path, error.errors(include_url=False), "see docs/agents.md") from error


def template_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a template."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Template.model_json_schema()}


class Command:
    """A program started by a template."""

    name = "command"
    uses_model = True
    parameters: tuple[str, ...] = ()

    def __init__(self, loaded: LoadedTemplate) -> None:
        self._template, self._file = loaded.template, loaded.file
        self.protocol: Literal["chat", "responses", "messages", "gemini", "none"] = loaded.template.protocol

    def locate(self, progress: Progress) -> Installation:  # noqa: ARG002 - there is nothing to install
        """The program where the template says it is. Raises AgentError."""
        template = self._template
        mounts = tuple(Mount((self._file.parent / s).resolve(), t) for t, s in template.mounts.items())
        if missing := next((m for m in mounts if not m.source.exists()), None):
            raise AgentError(
                f"{template.name}: what is mounted at {missing.target} does not exist", file=missing.source
            )
        version = None
        if template.version:
            words = [HostSandbox().as_seen(word, mounts) for word in template.version]
            version = reported_version(template.name, words)
        pythons = [m.source / "bin" / "python" for m in mounts if (m.source / "pyvenv.cfg").is_file()]
        return Installation(
            version=version,
            executable=self._executable(mounts),
            mounts=mounts,
            interpreters=tuple(find_interpreter(str(python)).prefix for python in pythons),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """As the template says."""
        values = {
            "prompt_file": f"{context.home}/{_PROMPT}",
            "workspace": context.workspace,
            "home": context.home,
            "model": context.model or "",
            "base_url": context.base_url,
            "token": context.token,
        }

        def filled(text: str) -> str:
            return _PLACEHOLDERS.sub(lambda found: values[found[1]], text)

        template = self._template
        return Launch(
            argv=tuple(filled(word) for word in template.argv),
            env={name: filled(value) for name, value in template.env.items()},
            files={_PROMPT: context.prompt} | {name: filled(text) for name, text in template.files.items()},
            stdin=context.prompt.encode() if template.stdin == "prompt" else b"",
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the fields that the template names."""
        evidence = self._template.outcome
        objects = list(self._objects(left))
        if evidence is None or not objects:
            return None
        marker, finished = evidence.finished, None
        if marker is not None:
            finished = _last(objects, marker.field)[1] == marker.equals
        line, value = _last(objects, evidence.error)
        error = reading.text(value)
        trajectory = self.trajectory(left)
        file = "stdout.log" if evidence.file == "stdout" else f"trajectory{trajectory.suffix}" if trajectory else None
        return AgentOutcome(
            finished=finished,
            claims_success=finished,
            message=reading.text(_last(objects, evidence.message)[1]),
            error=error,
            error_file=file if error else None,
            error_line=line if error else None,
            usage=_usage(objects, evidence.usage),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The file that its outcome is read from."""
        evidence = self._template.outcome
        if evidence is None or evidence.file == "stdout":
            return None
        return reading.plain_file(left.home, evidence.file)

    def _executable(self, mounts: tuple[Mount, ...]) -> Path:
        """The first word of the command line that lies in what is mounted, else the program on PATH."""
        for word in self._template.argv:
            seen = Path(HostSandbox().as_seen(word, mounts))
            if str(seen) != word and seen.is_file():
                return seen
        found = shutil.which(self._template.argv[0], path="/usr/local/bin:/usr/bin:/bin")
        if found is None:
            raise AgentError(
                f"{self._template.name}: {self._template.argv[0]} does not exist inside the sandbox",
                file=self._file,
                hint="mount what holds it (mounts: {/opt/agent: FOLDER})",
            )
        return Path(found)

    def _objects(self, left: Left) -> Iterator[tuple[int | None, dict[str, Any]]]:
        evidence = self._template.outcome
        if evidence is None:
            return
        if evidence.file == "stdout":
            yield from reading.json_lines(left.stdout)
            return
        data = reading.read_file(left.home, evidence.file)
        if evidence.format == "jsonl":
            yield from reading.json_lines((data or b"").decode(errors="replace").split("\n"))
        elif whole := reading.mapping(reading.parse(data)):
            yield None, whole


def _below_home(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _last(objects: list[tuple[int | None, dict[str, Any]]], field: str | None) -> tuple[int | None, Any]:
    """Line and value of a field in the last object that has it."""
    for line, value in reversed(objects):
        for part in field.split(".") if field else ():
            value = reading.mapping(value).get(part)
        if field and value is not None:
            return line, value
    return None, None


def _usage(objects: list[tuple[int | None, dict[str, Any]]], fields: UsageFields | None) -> Usage | None:
    if fields is None:
        return None
    return usage_of_whole_input(
        _last(objects, fields.input)[1], _last(objects, fields.cache_read)[1], _last(objects, fields.output)[1]
    )
