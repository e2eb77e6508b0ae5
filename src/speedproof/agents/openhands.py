"""OpenHands: from PyPI, its whole closure pinned; spoken to over Chat Completions, read from its conversation."""

from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, pinned, python_agent, reported_version, yaml_text
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError, EnvironmentFailed
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, total_usage, usage_of_whole_input
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import find_interpreter

VERSION = "1.16.0"
PYTHON = "3.12"
_SETTINGS = ".openhands/agent_settings.json"
_CONVERSATIONS = ".openhands/conversations"
_PROMPT = "openhands/prompt.md"
_PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output": "max_output_tokens",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
}
_FAILED = ("error", "stuck")

# The prompt is read from a file: its own --file wraps other words around it, and a command line has a bound. What has
# no option is switched off: skills fetched from the network, and the search for updates.
_START = (
    "import sys; from pathlib import Path; from openhands.sdk.skills import skill; "
    "skill.load_public_skills = lambda **_: []; "
    "from openhands_cli import version_check; version_check.__version__ = '0.0.0'; "
    "sys.argv[1:] = ['--headless', '--json', '--override-with-envs', '--task', "
    "Path(sys.argv[1]).read_text(encoding='utf-8')]; "
    "from openhands_cli.entrypoint import main; main()"
)


class OpenHands:
    """OpenHands, the command `openhands`."""

    name = "openhands"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "chat"
    parameters: tuple[str, ...] = tuple(_PARAMETERS)

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache, self._path, self._version = cache, path, version

    def locate(self, progress: Progress) -> Installation:
        """The environment at its path, else one built in the cache. Raises AgentError, EnvironmentFailed."""
        wanted = [f"openhands=={self._version}"] if self._version else pinned("openhands")
        python = None if self._path else _interpreter()
        folder, prefix = python_agent("openhands", self._path, wanted, python, self._cache, progress)
        ask = "from importlib.metadata import version; print(version('openhands'))"
        return Installation(
            version=reported_version("OpenHands", [folder / "bin" / "python", "-I", "-B", "-c", ask]),
            executable=folder / "bin" / "openhands",
            mounts=(Mount(folder, INSIDE),),
            interpreters=(prefix,),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt from a file. Python is started with -I: the task's PYTHONPATH and the workspace must not
        replace the agent's own modules."""
        model, base = f"openai/{context.model}", f"{context.base_url}/v1"
        llm: dict[str, Any] = {
            "model": model,
            "base_url": base,
            # Its own retry waits 8 to 64 s; the client below it repeats transient errors twice.
            "num_retries": 1,
            **{_PARAMETERS[name]: value for name, value in context.parameters.items()},
        }
        settings = {
            "kind": "Agent",
            "llm": llm | {"usage_id": "agent"},
            "system_prompt_kwargs": {"cli_mode": True},
            "condenser": {
                "kind": "LLMSummarizingCondenser",
                "llm": llm | {"usage_id": "condenser"},
                "max_size": 80,
                "keep_first": 4,
            },
        }
        return Launch(
            argv=(f"{INSIDE}/bin/python", "-I", "-c", _START, f"{context.home}/{_PROMPT}"),
            env={
                "LLM_API_KEY": context.token,
                "LLM_MODEL": model,
                "LLM_BASE_URL": base,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "LITELLM_MODE": "PRODUCTION",  # else it reads .env files
                "OPENHANDS_SUPPRESS_BANNER": "1",
                "OPENHANDS_WORK_DIR": context.workspace,
                "TMUX_TMPDIR": context.home,  # its terminals would share one server with those of other attempts
            },
            files={_SETTINGS: yaml_text(settings), _PROMPT: context.prompt},
            configured={n: Setting(v, _SETTINGS, _PARAMETERS[n]) for n, v in context.parameters.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From the state it keeps of its conversation, and its events on standard output. The exit code is 0 even when
        the provider refused every call; it is not read."""
        name = _state_file(left)
        state = reading.mapping(reading.parse(reading.read_file(left.home, name))) if name else {}
        if not state:
            return None
        status = reading.text(state.get("execution_status"))
        events = list(reading.json_lines(left.stdout))
        error = status if status in _FAILED else None
        line: int | None = None
        for number, event in events:
            if error and event.get("kind") == "ConversationErrorEvent":
                error, line = reading.text(event.get("detail")) or error, number
        said = [words for _, event in events if (words := _words(event))]
        return AgentOutcome(
            finished=status == "finished",
            claims_success=True if status == "finished" else False if status in _FAILED else None,
            message=said[-1] if said else None,
            error=error,
            error_file="stdout.log" if line else None,
            error_line=line,
            steps=sum(1 for _, event in events if event.get("kind") == "ActionEvent"),
            usage=_usage(state),
            cost_usd=_cost(state),
        )

    def trajectory(self, left: Left) -> Path | None:
        """The state of its conversation; the events stand on standard output."""
        name = _state_file(left)
        return reading.plain_file(left.home, name) if name else None


def _interpreter() -> str:
    """A Python that OpenHands runs on. Raises AgentError."""
    try:
        return str(find_interpreter(PYTHON).executable)
    except EnvironmentFailed as error:
        raise AgentError(f"OpenHands needs Python {PYTHON}: {error.what}", hint=error.hint) from error


def _state_file(left: Left) -> str | None:
    """Path, relative to home, of the state of its conversation: of the one it names at its end, else the first."""
    files = [p for p in reading.files_below(left.home, _CONVERSATIONS, depth=1) if p.endswith("/base_state.json")]
    named = [
        line.partition("Conversation ID: ")[2].strip() for line in left.stdout[-10:] if "Conversation ID: " in line
    ]
    return next((p for p in files if named and named[-1] and named[-1] in p), files[0] if files else None)


def _words(event: dict[str, Any]) -> str | None:
    """What the model says in an event: with an action, or alone."""
    if event.get("source") != "agent":
        return None
    message = reading.mapping(event.get("llm_message"))
    parts = reading.sequence(event.get("thought") or message.get("content"))
    return reading.text("\n".join(t for p in parts if (t := reading.text(reading.mapping(p).get("text")))))


def _metrics(state: dict[str, Any]) -> list[dict[str, Any]]:
    """What it counted, for each of its uses of a model."""
    stats = reading.mapping(reading.mapping(state.get("stats")).get("usage_to_metrics"))
    return [reading.mapping(m) for m in stats.values()]


def _usage(state: dict[str, Any]) -> Usage | None:
    usages = []
    for metrics in _metrics(state):
        numbers = reading.mapping(metrics.get("accumulated_token_usage"))
        if not numbers.get("prompt_tokens") and not numbers.get("completion_tokens"):
            continue  # it writes 0 for unknown
        usages.append(
            usage_of_whole_input(
                numbers.get("prompt_tokens"),
                numbers.get("cache_read_tokens"),
                numbers.get("completion_tokens"),
                cache_write=numbers.get("cache_write_tokens") or None,
                reasoning=numbers.get("reasoning_tokens"),
            )
        )
    return total_usage(usages)[0] if any(usages) else None


def _cost(state: dict[str, Any]) -> float | None:
    costs = [m.get("accumulated_cost") for m in _metrics(state)]
    known = [c for c in costs if isinstance(c, float) and 0 < c < float("inf")]
    return sum(known) if known else None  # it writes 0 for unknown
