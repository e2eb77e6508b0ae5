"""Gemini CLI: from npm, spoken to over Gemini's generateContent, read from its JSON events."""

import json
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE
from speedproof.agents.npm import NODE_INSIDE, find_script
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count, total_usage, usage_of_whole_input
from speedproof.workspace.cache import Cache, Progress

PACKAGE = "@google/gemini-cli"
VERSION = "0.61.0"
_CONFIG = ".gemini/settings.json"
_ALIASES = ("base", "chat-compression-default", "agent-history-provider-summarizer")
_NAMES = {"temperature": "temperature", "top_p": "topP", "top_k": "topK", "max_output": "maxOutputTokens", "seed": "seed"}


class Gemini:
    """Google's Gemini CLI, the command `gemini`."""

    name = "gemini"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "gemini"
    parameters: tuple[str, ...] = (*_NAMES, "reasoning_effort")

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache = cache
        self._path = path
        self._version = version or VERSION

    def locate(self, progress: Progress) -> Installation:
        return find_script("Gemini CLI", PACKAGE, "gemini", self._version, self._path, self._cache, progress)

    def launch(self, context: LaunchContext) -> Launch:
        generation: dict[str, Any] = {_NAMES[n]: v for n, v in context.parameters.items() if n in _NAMES}
        if "reasoning_effort" in context.parameters:
            generation["thinkingConfig"] = {"thinkingLevel": str(context.parameters["reasoning_effort"]).upper()}
        overrides: list[dict[str, Any]] = [{"match": {"model": alias}, "modelConfig": {"model": context.model}} for alias in _ALIASES]
        if generation:
            overrides.append({"match": {"model": context.model}, "modelConfig": {"generateContentConfig": generation}})
        settings = {
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False, "maxAttempts": 3},
            "model": {"name": context.model},
            "modelConfigs": {"customOverrides": overrides},
            "privacy": {"usageStatisticsEnabled": False},
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "telemetry": {"enabled": False},
            "tools": {"exclude": ["google_web_search", "web_fetch"]},
        }
        return Launch(
            argv=(f"{NODE_INSIDE}/node", f"{INSIDE}/.bin/gemini", "--yolo", "--skip-trust", "--output-format", "stream-json"),
            env={
                "GEMINI_API_KEY": context.token,
                "GOOGLE_GEMINI_BASE_URL": context.base_url,
                "GEMINI_CLI_NO_RELAUNCH": "true",
            },
            files={_CONFIG: json.dumps(settings, indent=2) + "\n"},
            stdin=context.prompt.encode(),
            configured={name: (value, _CONFIG) for name, value in context.parameters.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        return None

    def trajectory(self, left: Left) -> Path | None:
        return None
