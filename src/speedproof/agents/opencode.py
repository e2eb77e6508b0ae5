"""opencode: its native program from npm, spoken to over Chat Completions, read from its JSON events."""

import json
import platform
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, reported_version
from speedproof.agents.npm import npm_modules
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count, total_usage
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress

VERSION = "1.18.33"
_PROGRAMS = {"x86_64": "opencode-linux-x64-baseline", "aarch64": "opencode-linux-arm64"}
"""npm package of its program by machine. The baseline one needs no newer instructions: one program for every x86-64."""
_SEARCHERS = {"x86_64": "@vscode/ripgrep-linux-x64", "aarch64": "@vscode/ripgrep-linux-arm64"}
_SEARCHER_VERSION = "1.18.0"
_SEARCHER_INSIDE = "/opt/ripgrep"
"""ripgrep, by which its search tools work."""
_CONFIG = "opencode/config.json"
_NOTES = ("AGENTS.md", "CLAUDE.md")
"""What it reads of a repository. It would read settings, too, that name another provider or run programs."""
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning_effort": "reasoningEffort",
}
"""Parameters that go into its model's `options`, by their names there."""


class OpenCode:
    """The command `opencode`."""

    name = "opencode"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "chat"
    parameters: tuple[str, ...] = (*_OPTIONS, "max_output")

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache = cache
        self._path = path
        self._version = version or VERSION

    def locate(self, progress: Progress) -> Installation:
        """From the folder named by path, else installed when it is not there yet. Its search tools need ripgrep, which
        it would download: that is installed beside it. Raises AgentError, EnvironmentFailed, InputError."""
        machine = platform.machine()
        if machine not in _PROGRAMS:
            raise AgentError(f"opencode has no program for {machine}", hint="use another agent")
        package = _PROGRAMS[machine]
        modules = (
            self._path.resolve() / "node_modules"
            if self._path
            else npm_modules(package, self._version, self._cache, progress)
        )
        program = modules / package / "bin" / "opencode"
        if not program.is_file():
            raise AgentError(
                f"opencode is not installed here (no node_modules/{package})",
                file=modules.parent,
                hint=f"npm install --prefix DIR {package}, and --agent-path opencode=DIR",
            )
        searcher = _SEARCHERS[machine]
        found = npm_modules(searcher, _SEARCHER_VERSION, self._cache, progress) / searcher / "bin"
        return Installation(
            version=reported_version("opencode", [program, "--version"]),
            executable=program,
            mounts=(Mount(program.parent, INSIDE), Mount(found, _SEARCHER_INSIDE)),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt on standard input. A title of ours saves a call that would make one up."""
        given = context.parameters
        model: dict[str, Any] = {
            "tool_call": True,
            "options": {_OPTIONS[name]: value for name, value in given.items() if name in _OPTIONS},
        }
        most = given.get("max_output")
        if most is not None:
            model["limit"] = {"context": 0, "output": most}  # 0: not known
        config = {
            "autoupdate": False,
            "share": "disabled",
            "snapshot": False,
            "lsp": False,
            "formatter": False,
            "model": f"gateway/{context.model}",
            "small_model": f"gateway/{context.side_model or context.model}",
            "enabled_providers": ["gateway"],
            "permission": {"*": "allow", "webfetch": "deny", "websearch": "deny"},
            "instructions": [f"{context.workspace}/{name}" for name in _NOTES],
            "provider": {
                "gateway": {
                    "npm": "@ai-sdk/openai-compatible",  # built in
                    "options": {
                        "baseURL": f"{context.base_url}/v1",
                        "apiKey": "{env:OPENAI_API_KEY}",
                        "headerTimeout": 600_000,  # the gateway may be waiting for the provider
                    },
                    "models": {name: {} for name in [context.side_model] if name} | {str(context.model): model},
                }
            },
        }
        env = {
            "OPENAI_API_KEY": context.token,
            "OPENCODE_CONFIG": f"{context.home}/{_CONFIG}",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
            "npm_config_offline": "true",  # it installs a package for plugins at every start
        }
        if most is not None:
            env["OPENCODE_EXPERIMENTAL_OUTPUT_TOKEN_MAX"] = str(most)  # else it stops at 32,000
        run = (f"{INSIDE}/opencode", "run", "--pure", "--format", "json", "--title", "Speedproof")
        return Launch(
            argv=("/bin/sh", "-c", 'PATH="$PATH:$0" exec "$@"', _SEARCHER_INSIDE, *run),
            env=env,
            files={_CONFIG: json.dumps(config, indent=2) + "\n"},
            stdin=context.prompt.encode(),
            configured={name: Setting(value, _CONFIG, _OPTIONS.get(name, "output")) for name, value in given.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the events on standard output. Usage is of its own session: what its subagents used is not in it."""
        finished: bool | None = None
        message = error = None
        error_line = None
        steps = 0
        usages: list[Usage | None] = []
        for number, event in reading.json_lines(left.stdout):
            part = reading.mapping(event.get("part"))
            match event.get("type"):
                case "step_start":
                    finished = False
                case "text":
                    message = reading.text(part.get("text")) or message
                case "step_finish":
                    finished, error, error_line = part.get("reason") == "stop", None, None
                    steps += 1
                    usages.append(_usage(part.get("tokens")))
                case "error":
                    finished, error_line = False, number
                    failure = reading.mapping(event.get("error"))
                    error = reading.text(reading.mapping(failure.get("data")).get("message"))
                    error = error or reading.text(failure.get("name")) or "an error without words"
        if finished is None:
            return None
        return AgentOutcome(
            finished=finished,
            claims_success=False if error else None,  # its words say the rest
            message=message,
            error=error,
            error_file="stdout.log" if error else None,
            error_line=error_line,
            steps=steps,
            usage=total_usage(usages)[0] if any(usages) else None,
        )

    def trajectory(self, left: Left) -> Path | None:  # noqa: ARG002
        """None but a database; its events on standard output say the same."""
        return None


def _usage(value: Any) -> Usage | None:
    tokens = reading.mapping(value)
    fresh, output, reasoning = (token_count(tokens.get(name)) for name in ("input", "output", "reasoning"))
    if not fresh and not output and not reasoning:
        return None  # it writes 0 for unknown
    cache = reading.mapping(tokens.get("cache"))
    return Usage(
        uncached_input=fresh,
        cache_read=token_count(cache.get("read")),
        cache_write=token_count(cache.get("write")),
        output=None if output is None else output + (reasoning or 0),
        reasoning=reasoning,
    )
