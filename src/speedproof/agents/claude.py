"""Claude Code: the program in its SDK's package on PyPI, spoken to over Anthropic Messages, read from its events."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, reported_version
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count, total_usage
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import build_environment

PACKAGE = "claude-agent-sdk"
VERSION = "0.2.187"
_HOME = ".claude"
_SETTINGS = f"{_HOME}/settings.json"
_COMMAND_TIMEOUT_MS = 600_000
_ANSWER_TIMEOUT_MS = 900_000
_NO_COST = 1e9
"""US dollars that no attempt can cost: such a number is hostile."""
_ITS_OWN = "<synthetic>"
"""The model that it names where it writes the assistant's message itself."""
_VARIABLES = {"max_output": "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "reasoning_effort": "CLAUDE_CODE_EFFORT_LEVEL"}
_IN_BODY = ("temperature", "top_k", "top_p")
"""Parameters that it has no setting for; it adds them to the body of its requests as they stand."""
_MODELS = (
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
_SMALL_MODELS = ("ANTHROPIC_DEFAULT_HAIKU_MODEL", "ANTHROPIC_SMALL_FAST_MODEL")


class Claude:
    """Anthropic's Claude Code."""

    name = "claude"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "messages"
    parameters: tuple[str, ...] = (*_VARIABLES, *_IN_BODY)

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache, self._path, self._version = cache, path, version or VERSION

    def locate(self, progress: Progress) -> Installation:
        """The program at its path, else installed in the cache. Raises AgentError, EnvironmentFailed."""
        folder = self._path.resolve() if self._path else self._installed(progress)
        program = folder / "claude"
        if not program.is_file():
            hint = "--agent-path claude=FOLDER that holds the program claude"
            raise AgentError("no program of Claude Code (no claude)", file=folder, hint=hint)
        return Installation(
            version=reported_version("Claude Code", [program, "--version"]),
            executable=program,
            mounts=(Mount(folder, INSIDE),),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt on standard input. Of the workspace it reads its notes (CLAUDE.md) alone: the settings and
        servers that a repository brings could name another provider, take tools away or run programs."""
        model = context.model or ""
        settings, configured = _settings(context.parameters)
        return Launch(
            argv=(
                f"{INSIDE}/claude",
                "--print",
                "--output-format=stream-json",
                "--verbose",
                f"--model={model}",
                "--permission-mode=bypassPermissions",
                "--disallowedTools=WebSearch,WebFetch",
                "--setting-sources=user",
                "--strict-mcp-config",
                "--add-dir=.",
            ),
            env={
                "CLAUDE_CONFIG_DIR": f"{context.home}/{_HOME}",
                "CLAUDE_CODE_TMPDIR": f"{context.home}/{_HOME}/tmp",
                "XDG_RUNTIME_DIR": f"{context.home}/{_HOME}/run",  # its sockets, through which sessions find each other
                "CLAUDE_CODE_ADDITIONAL_DIRECTORIES_CLAUDE_MD": "1",
                "ANTHROPIC_BASE_URL": context.base_url,
                "ANTHROPIC_API_KEY": context.token,
                **dict.fromkeys(_MODELS, model),
                **dict.fromkeys(_SMALL_MODELS, context.side_model or model),
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_TELEMETRY": "1",
                "DISABLE_ERROR_REPORTING": "1",
                "DISABLE_AUTOUPDATER": "1",
                "CLAUDE_CODE_MAX_RETRIES": "2",
                "API_TIMEOUT_MS": str(_ANSWER_TIMEOUT_MS),
                "BASH_DEFAULT_TIMEOUT_MS": str(_COMMAND_TIMEOUT_MS),
                "BASH_MAX_TIMEOUT_MS": str(_COMMAND_TIMEOUT_MS),
                "IS_SANDBOX": "1",  # else it does not run without permissions as root
            },
            files={_SETTINGS: settings},
            stdin=context.prompt.encode(),
            configured=configured,
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From its last `result` on standard output, whose `subtype` says success even when the provider refused; from
        the session file what it used when it was ended before."""
        begun = False
        result: dict[str, Any] | None = None
        message = error = None
        error_line = None
        for number, event in reading.json_lines(left.stdout):
            match event.get("type"), event.get("subtype"):
                case "system", "init":
                    begun = True
                case "system", "api_retry":
                    error, error_line = _retry(event), number
                case "assistant", _:
                    answer = reading.mapping(event.get("message"))
                    if answer.get("model") != _ITS_OWN:
                        message, error = _words(answer) or message, None
                case "result", _:
                    result, error = event, None
                    if event.get("is_error") is not False or event.get("subtype") != "success":
                        error, error_line = _failure(event), number
        if not begun and result is None:
            return None
        done = result is not None and error is None
        return AgentOutcome(
            finished=done,
            claims_success=False if result is not None and not done else None,  # its words say the rest
            message=(reading.text(result.get("result")) if result is not None and done else None) or message,
            error=error,
            error_file="stdout.log" if error else None,
            error_line=error_line if error else None,
            steps=None if result is None else token_count(result.get("num_turns")),
            usage=_session_usage(left) if result is None else _result_usage(result),
            cost_usd=None if result is None else _cost(result),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The session file of the session named on standard output."""
        name = _session(left)
        return None if name is None else reading.plain_file(left.home, name)

    def _installed(self, progress: Progress) -> Path:
        built = build_environment([f"{PACKAGE}=={self._version}"], None, self._cache, progress)
        packages = sorted(built.folder.glob("lib/python*/site-packages/claude_agent_sdk/_bundled"))
        if not packages:
            raise AgentError("Claude Code's package holds no program for this machine", file=built.folder)
        return packages[0]


def _settings(parameters: Mapping[str, Any]) -> tuple[str, dict[str, Setting]]:
    """Its settings file, and which parameters stand there."""
    variables = {variable: str(parameters[name]) for name, variable in _VARIABLES.items() if name in parameters}
    body = {name: parameters[name] for name in _IN_BODY if name in parameters}
    if body:
        variables["CLAUDE_CODE_EXTRA_BODY"] = json.dumps(body)
    configured = {name: Setting(value, _SETTINGS, _VARIABLES.get(name, name)) for name, value in parameters.items()}
    return json.dumps({"env": variables}, indent=2) + "\n", configured


def _retry(event: dict[str, Any]) -> str | None:
    status = token_count(event.get("error_status"))
    why = reading.text(event.get("error")) or "unknown"
    return f"API Error: {why}" if status is None else f"API Error: {status} {why}"


def _failure(result: dict[str, Any]) -> str:
    """Why it did not finish: its words, else the errors it lists, else the kind of the result."""
    listed = [reading.text(each) for each in reading.sequence(result.get("errors"))]
    kind = reading.text(result.get("subtype")) or "the result says neither success nor error"
    return reading.text(result.get("result")) or next((each for each in listed if each), kind)


def _words(answer: dict[str, Any]) -> str | None:
    blocks = [reading.mapping(block) for block in reading.sequence(answer.get("content"))]
    said = [reading.text(block.get("text")) for block in blocks if block.get("type") == "text"]
    return reading.text("\n".join(words for words in said if words))


def _result_usage(result: dict[str, Any]) -> Usage | None:
    """The sum over all models it used, side models and subagents included; null when it counted nothing."""
    counts = [reading.mapping(each) for each in reading.mapping(result.get("modelUsage")).values()]
    return _sum(
        Usage(
            uncached_input=token_count(each.get("inputTokens")),
            cache_read=token_count(each.get("cacheReadInputTokens")),
            cache_write=token_count(each.get("cacheCreationInputTokens")),
            output=token_count(each.get("outputTokens")),
            reasoning=token_count(each.get("thinkingTokens")),
        )
        for each in counts
    )


def _session_usage(left: Left) -> Usage | None:
    """The sum over the answers in its session file, where each block of an answer repeats the answer's counts."""
    name = _session(left)
    data = None if name is None else reading.read_file(left.home, name)
    answers: dict[str, dict[str, Any]] = {}
    for _, line in reading.json_lines((data or b"").decode(errors="replace").split("\n")):
        answer = reading.mapping(line.get("message"))
        if line.get("type") == "assistant" and answer.get("model") != _ITS_OWN:
            answers[str(answer.get("id"))] = reading.mapping(answer.get("usage"))
    return _sum(
        Usage(
            uncached_input=token_count(each.get("input_tokens")),
            cache_read=token_count(each.get("cache_read_input_tokens")),
            cache_write=token_count(each.get("cache_creation_input_tokens")),
            output=token_count(each.get("output_tokens")),
            reasoning=token_count(reading.mapping(each.get("output_tokens_details")).get("thinking_tokens")),
        )
        for each in answers.values()
    )


def _sum(usages: Iterable[Usage]) -> Usage | None:
    whole = total_usage(usages)[0]
    return whole if any(whole.model_dump().values()) else None


def _cost(result: dict[str, Any]) -> float | None:
    """What it says it cost; null where it does not know a model and has guessed its price."""
    cost = result.get("total_cost_usd")
    used = [reading.mapping(each) for each in reading.mapping(result.get("modelUsage")).values()]
    if not used or any(each.get("costBasis") == "unknown" for each in used):
        return None
    if not isinstance(cost, int | float) or isinstance(cost, bool) or not 0 <= cost < _NO_COST:
        return None
    return float(cost)


def _session(left: Left) -> str | None:
    """Path, relative to home, of the session file: the one of the session that standard output opens with."""
    sessions = [reading.text(event.get("session_id")) for _, event in reading.json_lines(left.stdout[:100])]
    session = next((each for each in sessions if each), None)
    files = [path for path in reading.files_below(left.home, f"{_HOME}/projects", depth=1) if path.endswith(".jsonl")]
    named = (path for path in files if session and path.endswith(f"/{session}.jsonl"))
    return next(named, files[0] if files else None)
