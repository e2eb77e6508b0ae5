"""Codex CLI: the native program from PyPI, spoken to over OpenAI Responses, read from its JSON events."""

import json
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, reported_version
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, usage_of_whole_input
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import build_environment

PACKAGE = "openai-codex-cli-bin"
VERSION = "0.163.0"
_HOME = ".codex"
_CONFIG_FILE = f"{_HOME}/config.toml"

# Web search would run at the provider, past every sandbox, and could find the expert's change.
# The features switched off ask accounts and servers that an attempt cannot reach.
_CONFIG = """\
model = {model}
{more}model_provider = "gateway"
web_search = "disabled"
check_for_update_on_startup = false

[model_providers.gateway]
name = "gateway"
base_url = {base_url}
env_key = "OPENAI_API_KEY"
wire_api = "responses"
requires_openai_auth = false
supports_websockets = false
request_max_retries = 2
stream_max_retries = 2

[analytics]
enabled = false

[feedback]
enabled = false

[history]
persistence = "none"

[features]
apps = false
plugins = false
remote_plugin = false
"""


class Codex:
    """OpenAI's Codex CLI."""

    name = "codex"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "responses"
    parameters: tuple[str, ...] = ("reasoning_effort",)

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache, self._path, self._version = cache, path, version or VERSION

    def locate(self, progress: Progress) -> Installation:
        """The program at its path, else installed in the cache. Raises AgentError, EnvironmentFailed."""
        folder = self._path.resolve() if self._path else self._installed(progress)
        program = folder / "bin" / "codex"
        if not program.is_file():
            hint = "--agent-path codex=FOLDER that holds bin/codex"
            raise AgentError("no program of Codex (no bin/codex)", file=folder, hint=hint)
        return Installation(
            version=reported_version("Codex", [program, "--version"]),
            executable=program,
            mounts=(Mount(folder, INSIDE),),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt on standard input. A model that is in Codex's own catalogue may get other tools than
        the plain shell (`exec_command`) that every other name gets."""
        effort = context.parameters.get("reasoning_effort")
        config = _CONFIG.format(
            more="" if effort is None else f"model_reasoning_effort = {json.dumps(effort)}\n",
            model=json.dumps(context.model, ensure_ascii=False),
            base_url=json.dumps(f"{context.base_url}/v1", ensure_ascii=False),
        )
        return Launch(
            argv=(
                f"{INSIDE}/bin/codex",
                "exec",
                "--json",
                "--strict-config",
                "--skip-git-repo-check",
                "--dangerously-bypass-approvals-and-sandbox",
                "-C",
                context.workspace,
                "-",
            ),
            env={"CODEX_HOME": f"{context.home}/{_HOME}", "OPENAI_API_KEY": context.token},
            files={_CONFIG_FILE: config},
            stdin=context.prompt.encode(),
            configured={"reasoning_effort": Setting(effort, _CONFIG_FILE, "model_reasoning_effort")} if effort else {},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the events on standard output; usage from the session file when the turn never completed."""
        finished: bool | None = None
        failed = False
        message = error = None
        error_line = None
        used = None
        for number, event in reading.json_lines(left.stdout):
            match event.get("type"):
                case "thread.started" | "turn.started":
                    finished = False
                case "turn.completed":
                    finished, failed, error, error_line = True, False, None, None
                    used = _usage(event.get("usage"))
                case "turn.failed":
                    finished, failed = False, True
                    error, error_line = reading.text(reading.mapping(event.get("error")).get("message")), number
                case "error":
                    error, error_line = reading.text(event.get("message")), number
                case "item.completed":  # an item of type "error" is but a warning
                    item = reading.mapping(event.get("item"))
                    if item.get("type") == "agent_message":
                        message = reading.text(item.get("text")) or message
        if finished is None and error is None:
            return None
        return AgentOutcome(
            finished=finished,
            claims_success=False if failed else None,  # a completed turn has ended well; its words say the rest
            message=message,
            error=error,
            error_file="stdout.log" if error else None,
            error_line=error_line if error else None,
            usage=used or self._session_usage(left),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The session file of the thread named on standard output."""
        name = _session(left)
        return None if name is None else reading.plain_file(left.home, name)

    def _installed(self, progress: Progress) -> Path:
        built = build_environment([f"{PACKAGE}=={self._version}"], None, self._cache, progress)
        packages = sorted(built.folder.glob("lib/python*/site-packages/codex_cli_bin"))
        if not packages:
            raise AgentError("Codex's package holds no program for this machine", file=built.folder)
        return packages[0]

    def _session_usage(self, left: Left) -> Usage | None:
        name = _session(left)
        data = None if name is None else reading.read_file(left.home, name)
        used = None
        for _, line in reading.json_lines((data or b"").decode(errors="replace").split("\n")):
            payload = reading.mapping(line.get("payload"))
            if line.get("type") == "token_usage_record":  # after each answer
                used = _usage(payload.get("thread_token_usage")) or used
            elif payload.get("type") == "token_count":  # after each step
                used = _usage(reading.mapping(payload.get("info")).get("total_token_usage")) or used
        return used


def _session(left: Left) -> str | None:
    """Path, relative to home, of the session file: the one of the first thread, not of any it started in turn."""
    threads = [reading.text(e.get("thread_id")) for _, e in reading.json_lines(left.stdout[:100])]
    thread = next((t for t in threads if t), None)
    files = [
        path
        for path in reading.files_below(left.home, f"{_HOME}/sessions", depth=3)
        if path.rsplit("/", 1)[-1].startswith("rollout-") and path.endswith(".jsonl")
    ]
    return next((path for path in files if thread and thread in path), files[0] if files else None)


def _usage(value: Any) -> Usage | None:
    numbers = reading.mapping(value)
    return usage_of_whole_input(
        numbers.get("input_tokens"),
        numbers.get("cached_input_tokens"),
        numbers.get("output_tokens"),
        cache_write=numbers.get("cache_write_input_tokens"),
        reasoning=numbers.get("reasoning_output_tokens"),
    )
