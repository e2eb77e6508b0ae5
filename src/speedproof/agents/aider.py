"""aider: from PyPI, its whole closure pinned; spoken to over Chat Completions without tools, its edits being text.

It has no structured output. Its own log of events, kept in a file and sent nowhere, says what was sent, what came
back and how it ended; its words stand on the console.
"""

import json
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, pinned, python_agent, reported_version, yaml_text
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError, EnvironmentFailed
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, token_count
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import find_interpreter

VERSION = "0.86.2"
_PROMPT = "aider/prompt.md"
_EVENTS = "aider/events.jsonl"
_HISTORY = "aider/conversation.txt"
_KEYS = "aider/keys.env"
_PRICES = ".aider/caches/model_prices_and_context_window.json"
_SETTINGS = "aider/settings.yaml"
_PARAMETERS = {"temperature": "temperature", "top_p": "top_p", "max_output": "max_tokens", "seed": "seed"}
_NO_PRICES = json.dumps({"": {}})
"""An empty list of prices: without any, aider fetches one from the network."""
_LAST_REFLECTION = "Only 3 reflections allowed, stopping."

# Two constants have no option: seconds up to which a failed call is repeated (it repeats a used-up quota, too), and the
# folder of its index, which it would put into the workspace.
_START = (
    "import sys; from aider import models, repomap; models.RETRY_TIMEOUT = 0; "
    "repomap.RepoMap.TAGS_CACHE_DIR = sys.argv.pop(1); from aider.main import main; sys.exit(main())"
)


class Aider:
    """aider, the command `aider`."""

    name = "aider"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "chat"
    parameters: tuple[str, ...] = tuple(_PARAMETERS)

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        self._cache, self._path, self._version = cache, path, version

    def locate(self, progress: Progress) -> Installation:
        """The environment at its path, else one built in the cache. Raises AgentError, EnvironmentFailed."""
        wanted = [f"aider-chat=={self._version}"] if self._version else pinned("aider")
        python = None if self._path else _interpreter()
        folder, prefix = python_agent("aider", self._path, wanted, python, self._cache, progress)
        ask = "from importlib.metadata import version; print(version('aider-chat'))"
        return Installation(
            version=reported_version("aider", [folder / "bin" / "python", "-I", "-B", "-c", ask]),
            executable=folder / "bin" / "aider",
            mounts=(Mount(folder, INSIDE),),
            interpreters=(prefix,),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt from a file. Python is started with -I: the task's PYTHONPATH and the workspace must not
        replace the agent's own modules."""
        own = f"{context.home}/aider"
        base = f"{context.base_url}/v1"
        extra = {_PARAMETERS[name]: value for name, value in context.parameters.items()}
        argv = [f"{INSIDE}/bin/python", "-I", "-c", _START, f"{own}/tags"]
        argv += ["--model", f"openai/{context.model}", "--message-file", f"{context.home}/{_PROMPT}"]
        argv += ["--edit-format", "diff", "--yes-always", "--no-auto-commits", "--no-dirty-commits", "--no-gitignore"]
        argv += ["--no-stream", "--no-pretty", "--no-fancy-input", "--no-show-model-warnings", "--no-detect-urls"]
        argv += ["--disable-playwright", "--no-check-update", "--no-show-release-notes", "--no-analytics"]
        argv += ["--analytics-log", f"{context.home}/{_EVENTS}", "--llm-history-file", f"{context.home}/{_HISTORY}"]
        argv += ["--chat-history-file", f"{own}/chat.md", "--input-history-file", f"{own}/input"]
        argv += ["--model-settings-file", f"{context.home}/{_SETTINGS}"]
        argv += ["--env-file", f"{context.home}/{_KEYS}"]  # read last: no .env file of the task goes before it
        return Launch(
            argv=tuple(argv),
            env={
                "OPENAI_API_KEY": context.token,
                "OPENAI_API_BASE": base,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "COLUMNS": "10000",  # it breaks its lines, error messages too, at the terminal's width
                # It starts its linter in the workspace: no module there may replace one of the linter's own.
                "PYTHONPATH": "",
                "PYTHONSAFEPATH": "1",
                "BROWSER": "true",  # it opens the addresses it finds in error messages
            },
            files={
                _PROMPT: context.prompt,
                _KEYS: f"OPENAI_API_KEY={context.token}\nOPENAI_API_BASE={base}\n",
                _PRICES: _NO_PRICES,
                _SETTINGS: yaml_text([{"name": "aider/extra_params", "extra_params": extra}]),
            },
            configured={n: Setting(v, _SETTINGS, _PARAMETERS[n]) for n, v in context.parameters.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From its log of events: a message that was sent and not followed by its tokens has failed. The exit code is
        0 even when the provider refused every call; it is not read."""
        events = _events(left)
        if not events:
            return None
        sent = [event for event, _ in events if event.startswith("message_send")]
        answers = [properties for event, properties in events if event == "message_send"]
        ended = any(event == "exit" for event, _ in events)
        answered = bool(sent) and sent[-1] == "message_send"
        error, line = (None, None) if answered or not ended else _last_error(left)
        if answered and (last := _last_line(left)) is not None and last[1] == _LAST_REFLECTION:
            line, error = last
        done = answered and ended and error is None
        return AgentOutcome(
            finished=done,
            claims_success=False if ended and not done else None,  # it never says that it succeeded
            message=_last_answer(left),
            error=error,
            error_file="stdout.log" if error else None,
            error_line=line if error else None,
            steps=len(answers),
            usage=_usage(answers),
        )

    def trajectory(self, left: Left) -> Path | None:
        """What it sent to the model and what came back, as text."""
        return reading.plain_file(left.home, _HISTORY)


def edit_block(file: str, old: str, new: str) -> str:
    """An answer that makes aider replace `old` by `new` in `file`; an empty `old` makes the file."""
    return f"{file}\n```\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n"


def _interpreter() -> str | None:
    """A Python that aider runs on: Speedproof's own, or 3.12 where that one is too new. Raises AgentError."""
    if int(find_interpreter(None).version.split(".")[1]) < 13:
        return None
    try:
        return str(find_interpreter("3.12").executable)
    except EnvironmentFailed as error:
        raise AgentError(f"aider needs Python 3.11 or 3.12: {error.what}", hint=error.hint) from error


def _events(left: Left) -> list[tuple[str, dict[str, Any]]]:
    data = reading.read_file(left.home, _EVENTS) or b""
    lines = reading.json_lines(data.decode(errors="replace").split("\n"))
    return [(reading.text(e.get("event")) or "", reading.mapping(e.get("properties"))) for _, e in lines]


def _last_error(left: Left) -> tuple[str | None, int | None]:
    """The console's last line with an exception of its client, else its last line."""
    lines = [(n, text) for n, line in enumerate(left.stdout, 1) if (text := reading.text(line))]
    errors = [(n, text) for n, text in lines if text.startswith("litellm.")] or lines
    return (errors[-1][1], errors[-1][0]) if errors else (None, None)


def _last_line(left: Left) -> tuple[int, str] | None:
    lines = [(n, text) for n, line in enumerate(left.stdout, 1) if (text := reading.text(line))]
    return lines[-1] if lines else None


def _last_answer(left: Left) -> str | None:
    data = (reading.read_file(left.home, _HISTORY) or b"").decode(errors="replace")
    answer = data.rpartition("LLM RESPONSE")[2].partition("\n")[2]
    said = "\n".join(line.removeprefix("ASSISTANT ").rstrip() for line in answer.split("\n"))
    return reading.text(said)


def _usage(answers: list[dict[str, Any]]) -> Usage | None:
    """Output alone: of the input it does not say which part came from the provider's cache."""
    counts = [token_count(a.get("completion_tokens")) for a in answers]
    known = [c for c in counts if c is not None]
    return Usage(output=sum(known)) if known else None
