"""Qwen Code: from npm, spoken to over Chat Completions, read from its JSON events."""

import json
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE
from speedproof.agents.npm import NODE_INSIDE, find_script
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count, total_usage, usage_of_whole_input
from speedproof.workspace.cache import Cache, Progress

PACKAGE = "@qwen-code/qwen-code"
VERSION = "0.24.4"
_CONFIG = "qwen/settings.json"
_REFUSED = "[API Error:"
"""How the text of a result begins that is none, in releases that call it a success."""


class Qwen:
    """Qwen Code, the command `qwen`."""

    name = "qwen"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "chat"
    parameters: tuple[str, ...] = (
        "temperature",
        "top_p",
        "top_k",
        "max_output",
        "seed",
        "parallel_tool_calls",
        "reasoning_effort",
    )

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache = cache
        self._path = path
        self._version = version or VERSION

    def locate(self, progress: Progress) -> Installation:
        """From the folder named by path, else installed when it is not there yet. Raises AgentError,
        EnvironmentFailed, InputError."""
        return find_script("Qwen Code", PACKAGE, "qwen", self._version, self._path, self._cache, progress)

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt on standard input. Its settings go before those that a repository brings, whose hooks and
        servers are left out; what the repository denies stays denied."""
        given = dict(context.parameters)
        generation: dict[str, Any] = {
            "maxRetries": 0,  # else ten rounds of its seven attempts
            "timeout": 600_000,  # the gateway may be waiting for the provider
        }
        if "max_output" in given:
            generation["samplingParams"] = {"max_tokens": given.pop("max_output")}
        if given:
            generation["extra_body"] = given
        reached = {"baseUrl": f"{context.base_url}/v1", "envKey": "OPENAI_API_KEY"}
        models = [{"id": context.model, **reached, "generationConfig": generation}]
        if context.side_model:
            models.append({"id": context.side_model, **reached})
        settings = {
            "$version": 4,
            "disableAllHooks": True,
            "fastModel": context.side_model or "",
            "general": {"enableAutoUpdate": False},
            "memory": {"enableManagedAutoMemory": False, "enableManagedAutoDream": False, "enableAutoSkill": False},
            "model": {"name": context.model},
            "modelProviders": {"openai": models},
            "permissions": {"deny": ["web_fetch", "web_search"]},
            "privacy": {"usageStatisticsEnabled": False},
            "security": {"auth": {"selectedType": "openai"}},
            "telemetry": {"enabled": False},
        }
        run = (f"{NODE_INSIDE}/node", f"{INSIDE}/.bin/qwen")
        return Launch(
            argv=(*run, "--yolo", "--output-format=stream-json", "--allowed-mcp-server-names=none"),
            env={
                "OPENAI_API_KEY": context.token,
                "QWEN_CODE_SYSTEM_SETTINGS_PATH": f"{context.home}/{_CONFIG}",
                "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",
            },
            files={_CONFIG: json.dumps(settings, indent=2) + "\n"},
            stdin=context.prompt.encode(),
            configured={
                name: Setting(value, _CONFIG, "max_tokens" if name == "max_output" else name)
                for name, value in context.parameters.items()
            },
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the result line on standard output; usage from the answers before it when there is none."""
        finished: bool | None = None
        message = error = None
        line = steps = None
        usages: list[Usage | None] = []
        total: Usage | None = None
        for number, event in reading.json_lines(left.stdout):
            match event.get("type"):
                case "system":
                    finished = bool(finished)
                case "assistant":
                    finished = bool(finished)
                    answer = reading.mapping(event.get("message"))
                    words = _words(answer)
                    message = words if words and _REFUSED not in words else message
                    usages.append(_usage(answer.get("usage")))
                case "result":
                    said = reading.text(event.get("result"))
                    refused = said is not None and said.startswith(_REFUSED)
                    finished = event.get("is_error") is False and not refused
                    if not finished:
                        error = reading.text(reading.mapping(event.get("error")).get("message")) or said
                        error, line = error or reading.text(event.get("subtype")) or "an error without words", number
                    message = said if said and not refused else message
                    steps, total = token_count(event.get("num_turns")), _usage(event.get("usage"))
        if finished is None:
            return None
        return AgentOutcome(
            finished=finished,
            claims_success=False if error else None,  # its words say the rest
            message=message,
            error=error,
            error_file="stdout.log" if error else None,
            error_line=line,
            steps=steps,
            usage=total or (total_usage(usages)[0] if any(usages) else None),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The session file: there is one folder, named after the workspace, and one session in it."""
        files = [
            name
            for name in reading.files_below(left.home, ".qwen/projects", depth=2)
            if name.split("/")[-2] == "chats" and name.endswith(".jsonl")
        ]
        return reading.plain_file(left.home, files[0]) if files else None


def _words(answer: dict[str, Any]) -> str | None:
    parts = [reading.mapping(part) for part in reading.sequence(answer.get("content"))]
    return next((words for part in reversed(parts) if (words := reading.text(part.get("text")))), None)


def _usage(value: Any) -> Usage | None:
    numbers = reading.mapping(value)
    if not numbers.get("input_tokens") and not numbers.get("output_tokens"):
        return None  # it writes 0 for unknown
    return usage_of_whole_input(
        numbers.get("input_tokens"), numbers.get("cache_read_input_tokens"), numbers.get("output_tokens")
    )
