"""Gemini CLI: from npm, spoken to over Gemini's generateContent, read from its JSON events and its session file."""

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

PACKAGE = "@google/gemini-cli"
VERSION = "0.61.0"
_CONFIG = ".gemini/settings.json"
_SWITCHES = ".gemini/switches.json"
_ANSWER_TIMEOUT = {"flagId": 45773134, "intValue": "600"}
"""Its switch for the seconds an answer may take to begin, else 60: the gateway may be waiting for the provider."""
_SESSIONS = ".gemini/tmp"

_SIDE = ("base", "chat-compression-default", "agent-history-provider-summarizer")
"""Presets from which all its helpers take their models: summaries, checks for loops, corrections of edits."""
_CHAT = "chat-base"
"""The preset, itself upon `base`, from which the conversation takes its model."""
_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_output": "maxOutputTokens",
    "seed": "seed",
}


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
        """From the folder named by path, else installed when it is not there yet. Raises AgentError,
        EnvironmentFailed, InputError."""
        return find_script("Gemini CLI", PACKAGE, "gemini", self._version, self._path, self._cache, progress)

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt on standard input. Its helpers are given the side model, or the attempt's own without its
        parameters."""
        given = context.parameters
        generation: dict[str, Any] = {_NAMES[name]: value for name, value in given.items() if name in _NAMES}
        if "reasoning_effort" in given:
            generation["thinkingConfig"] = {"thinkingLevel": given["reasoning_effort"]}
        models = {**dict.fromkeys(_SIDE, context.side_model or context.model), _CHAT: context.model}
        overrides = [{"match": {"model": preset}, "modelConfig": {"model": model}} for preset, model in models.items()]
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
        run = (f"{NODE_INSIDE}/node", f"{INSIDE}/.bin/gemini")
        return Launch(
            argv=(*run, "--yolo", "--skip-trust", "--output-format", "stream-json"),
            env={
                "GEMINI_API_KEY": context.token,
                "GOOGLE_GEMINI_BASE_URL": context.base_url,
                "GEMINI_EXP": f"{context.home}/{_SWITCHES}",
                "GEMINI_CLI_NO_RELAUNCH": "true",  # one process, not a child of itself
            },
            files={
                _CONFIG: json.dumps(settings, indent=2) + "\n",
                _SWITCHES: json.dumps({"flags": [_ANSWER_TIMEOUT], "experimentIds": []}) + "\n",
            },
            stdin=context.prompt.encode(),
            configured={
                name: Setting(value, _CONFIG, _NAMES.get(name, "thinkingLevel")) for name, value in given.items()
            },
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the result line on standard output; usage from the session file when there is none."""
        finished: bool | None = None
        ended = False
        error = line = total = None
        said: list[str] = []
        for number, event in reading.json_lines(left.stdout):
            match event.get("type"):
                case "init":
                    finished = False
                case "message":
                    if event.get("role") == "assistant" and isinstance(event.get("content"), str):
                        said.append(event["content"])
                case "tool_use":
                    said = []
                case "error":  # it may go on after one
                    error, line = reading.text(event.get("message")), number
                case "result":
                    ended = True
                    finished = event.get("status") == "success"
                    failure = reading.text(reading.mapping(event.get("error")).get("message"))
                    error, line = (None, None) if finished else (failure or "an error without words", number)
                    total = _total(event.get("stats"))
        if finished is None:
            return None
        answers = self._answers(left)
        return AgentOutcome(
            finished=finished,
            claims_success=False if ended and not finished else None,  # its words say the rest
            message=reading.text("".join(said)),
            error=error,
            error_file="stdout.log" if error else None,
            error_line=line if error else None,
            steps=len(answers) if answers else None,
            usage=total or (total_usage(answers)[0] if any(answers) else None),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The session file."""
        name = _session(left)
        return None if name is None else reading.plain_file(left.home, name)

    def _answers(self, left: Left) -> list[Usage | None]:
        """Usage of each answer in the session file; an answer stands there once more whenever it grew."""
        name = _session(left)
        data = None if name is None else reading.read_file(left.home, name)
        answers: dict[str, Usage | None] = {}
        for _, record in reading.json_lines((data or b"").decode(errors="replace").split("\n")):
            if record.get("type") == "gemini" and isinstance(record.get("id"), str):
                answers[record["id"]] = _answer(record.get("tokens"))
        return list(answers.values())


def _session(left: Left) -> str | None:
    """Path, relative to home, of the session file; those of helpers have folders of their own."""
    files = [
        name
        for name in reading.files_below(left.home, _SESSIONS, depth=2)
        if name.split("/")[-2] == "chats" and name.endswith(".jsonl")
    ]
    return files[0] if files else None


def _total(value: Any) -> Usage | None:
    """Usage from `stats`, whose output leaves reasoning out and whose total holds it."""
    numbers = reading.mapping(value)
    whole, output, total = (token_count(numbers.get(n)) for n in ("input_tokens", "output_tokens", "total_tokens"))
    if not whole and not output:
        return None  # it writes 0 for unknown
    reasoning = None
    if whole is not None and output is not None and total is not None and total >= whole + output:
        reasoning = total - whole - output
    return usage_of_whole_input(
        whole,
        numbers.get("cached"),
        None if output is None else output + (reasoning or 0),
        reasoning=reasoning,
    )


def _answer(value: Any) -> Usage | None:
    numbers = reading.mapping(value)
    output, thoughts = token_count(numbers.get("output")), token_count(numbers.get("thoughts"))
    return usage_of_whole_input(
        numbers.get("input"),
        numbers.get("cached"),
        None if output is None else output + (thoughts or 0),
        reasoning=thoughts,
    )
