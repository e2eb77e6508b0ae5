"""mini-swe-agent: from PyPI, its whole closure pinned; spoken to over Chat Completions, read from its trajectory."""

from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, pinned, python_agent, reported_version, yaml_text
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count, total_usage, usage_of_whole_input
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress

VERSION = "2.4.6"
_CONFIG = "mini/speedproof.yaml"
_TRAJECTORY = "mini/trajectory.json"
_MODEL = {
    "max_output": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning_effort": "reasoning_effort",
}
"""Model parameters by their common names, as it hands them to its client."""
COMMAND_TIMEOUT_S = 600
"""Seconds one shell command may take; its own default of 30 s cuts off most test suites."""

# Its own template is named by full path: by name alone it would be looked for in the workspace first.
_START = (
    "import sys; from minisweagent.config import builtin_config_dir; "
    "sys.argv[1:1] = ['-c', str(builtin_config_dir / 'mini.yaml')]; "
    "from minisweagent.run.mini import app; app(prog_name='mini')"
)


class Mini:
    """mini-swe-agent, the command `mini`."""

    name = "mini"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "chat"
    parameters: tuple[str, ...] = tuple(_MODEL)

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache, self._path, self._version = cache, path, version

    def locate(self, progress: Progress) -> Installation:
        """The environment at its path, else one built in the cache. Raises AgentError, EnvironmentFailed."""
        # Of another release nothing is pinned but itself; litellm imports mcp without asking for it.
        wanted = [f"mini-swe-agent=={self._version}", "mcp"] if self._version else pinned("mini")
        folder, prefix = python_agent("mini", self._path, wanted, None, self._cache, progress)
        ask = "import minisweagent; print(minisweagent.__version__)"
        return Installation(
            version=reported_version(
                "mini-swe-agent",
                [folder / "bin" / "python", "-I", "-B", "-c", ask],
                {"MSWEA_SILENT_STARTUP": "1"},
            ),
            executable=folder / "bin" / "mini",
            mounts=(Mount(folder, INSIDE),),
            interpreters=(prefix,),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt in the configuration file. Python is started with -I: the task's PYTHONPATH and the
        workspace must not replace the agent's own modules."""
        config = {
            "run": {"task": context.prompt},
            "agent": {"mode": "yolo", "confirm_exit": False, "cost_limit": 0},
            "environment": {"timeout": COMMAND_TIMEOUT_S},
            "model": {
                "model_name": f"openai/{context.model}",
                "cost_tracking": "ignore_errors",  # cost is the gateway's business
                "model_kwargs": {
                    "api_base": f"{context.base_url}/v1",
                    **{_MODEL[name]: value for name, value in context.parameters.items()},
                },
            },
        }
        return Launch(
            argv=(
                f"{INSIDE}/bin/python",
                "-I",
                "-c",
                _START,
                "-c",
                f"{context.home}/{_CONFIG}",
                "-o",
                f"{context.home}/{_TRAJECTORY}",
            ),
            env={
                "OPENAI_API_KEY": context.token,
                "MSWEA_CONFIGURED": "true",
                "MSWEA_SILENT_STARTUP": "1",
                "MSWEA_GLOBAL_CONFIG_DIR": f"{context.home}/mini",
                # Its own retry repeats every error, 400s too; the client below it repeats transient ones twice.
                "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "1",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_MODE": "PRODUCTION",  # else it reads .env files
            },
            files={_CONFIG: yaml_text(config)},
            configured={name: Setting(value, _CONFIG, _MODEL[name]) for name, value in context.parameters.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From `info.exit_status` and the messages of its trajectory, which it rewrites after every step."""
        data = reading.read_file(left.home, _TRAJECTORY)
        trajectory = reading.mapping(reading.parse(data))
        if not trajectory:
            return None
        info = reading.mapping(trajectory.get("info"))
        messages = [reading.mapping(m) for m in reading.sequence(trajectory.get("messages"))]
        status = reading.text(info.get("exit_status"))  # empty while it still works
        said = [reading.text(m.get("content")) for m in messages if m.get("role") == "assistant"]
        error = None
        if status is not None and status != "Submitted":
            last = reading.mapping(messages[-1].get("extra")) if messages else {}
            error = reading.text(last.get("exception_str")) or status
        usages = [_usage(m) for m in messages]
        return AgentOutcome(
            finished=status == "Submitted",
            claims_success=None if status is None else status == "Submitted",
            message=next((words for words in reversed(said) if words), None),
            error=error,
            error_file="trajectory.json" if error else None,
            error_line=_error_line(data) if error else None,
            steps=token_count(reading.mapping(info.get("model_stats")).get("api_calls")),
            usage=total_usage(usages)[0] if any(usages) else None,
        )

    def trajectory(self, left: Left) -> Path | None:
        """The trajectory file it was told to write."""
        return reading.plain_file(left.home, _TRAJECTORY)


def _error_line(data: bytes | None) -> int | None:
    return reading.last_line_with(data, b'"exception_str":') or reading.last_line_with(data, b'"exit_status":')


def _usage(message: dict[str, Any]) -> Usage | None:
    response = reading.mapping(reading.mapping(message.get("extra")).get("response"))
    numbers = reading.mapping(response.get("usage"))
    return usage_of_whole_input(
        numbers.get("prompt_tokens"),
        reading.mapping(numbers.get("prompt_tokens_details")).get("cached_tokens"),
        numbers.get("completion_tokens"),
        reasoning=reading.mapping(numbers.get("completion_tokens_details")).get("reasoning_tokens"),
    )
