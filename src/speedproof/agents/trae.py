"""TRAE: from a checkout of its source, spoken to over OpenAI Responses, read from its trajectory.

It is not on a package index. A checkout with its environment built is named by path; without one it is fetched at
a pinned revision and built with its own lock file.
"""

import os
from pathlib import Path
from typing import Any, Literal

from speedproof.agents import reading
from speedproof.agents.installed import INSIDE, reported_version, yaml_text
from speedproof.agents.protocol import Installation, Launch, LaunchContext, Left, Setting
from speedproof.errors import AgentError, EnvironmentFailed
from speedproof.journal.attempt import AgentOutcome
from speedproof.journal.usage import Usage, total_usage, usage_of_whole_input
from speedproof.sandbox.box import Mount
from speedproof.workspace.cache import Cache, Progress
from speedproof.workspace.environment import find_interpreter, run_uv
from speedproof.workspace.git import GitError, git

SOURCE = "https://github.com/bytedance/trae-agent"
REVISION = "e839e559ac61bdd0e057c375dd1dee391fee797d"
PATH_VARIABLE = "SPEEDPROOF_TRAE"
_BY_PATH = f"give a checkout built with `uv sync --frozen --extra evaluation`: --agent-path trae=DIR or {PATH_VARIABLE}"
_CONFIG = "trae/config.yaml"
_PROMPT = "trae/prompt.md"
_PATCH = "trae/model.patch"
_MODEL = {
    "max_output": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "parallel_tool_calls": "parallel_tool_calls",
}
"""Model parameters by their common names, as its configuration spells them; it requires them all."""
_TRAJECTORY = "trae/trajectory.json"
MAX_STEPS = 200
"""Its own limit, as in its example configuration; Speedproof's limits hold beside it."""

# Started from the checkout itself: the built environment names its source by an absolute path of the host.
_START = (
    "import os, sys; sys.path.insert(0, os.path.dirname(sys.argv.pop(1))); "
    "from trae_agent.cli import cli; cli(prog_name='trae-cli')"
)


class Trae:
    """ByteDance's TRAE agent, the command `trae-cli`."""

    name = "trae"
    uses_model = True
    protocol: Literal["chat", "responses", "messages", "gemini", "none"] = "responses"
    parameters: tuple[str, ...] = (*_MODEL, "max_retries", "must_patch")

    def __init__(self, cache: Cache, path: Path | None = None, version: str | None = None) -> None:
        """`version` is a revision of its source."""
        self._cache, self._path, self._version = cache, path, version

    def locate(self, progress: Progress) -> Installation:
        """The checkout named by path or SPEEDPROOF_TRAE, else one fetched and built in the cache. Raises AgentError."""
        variable = None if self._version else os.environ.get(PATH_VARIABLE)
        named = self._path or (Path(variable) if variable else None)
        checkout = named.resolve() if named else self._fetched(progress)
        source, environment = checkout / "trae_agent", checkout / ".venv"
        if not (source / "cli.py").is_file():
            raise AgentError("no checkout of TRAE (no trae_agent/cli.py)", file=checkout, hint=_BY_PATH)
        python = environment / "bin" / "python"
        if not python.is_file():
            raise AgentError("TRAE's environment is not built", file=checkout, hint=_BY_PATH)
        version = reported_version("TRAE", [python, "-I", "-B", "-c", _START, source, "--version"])
        revision = _revision(checkout)
        return Installation(
            version=f"{version} ({revision})" if revision else version,
            executable=source / "cli.py",
            mounts=(Mount(environment, f"{INSIDE}/.venv"), Mount(source, f"{INSIDE}/trae_agent")),
            interpreters=(find_interpreter(str(python)).prefix,),
        )

    def launch(self, context: LaunchContext) -> Launch:
        """Headless, prompt from a file, without --must-patch unless it is asked for (see docs/agents.md). Python is
        started with -I: the task's PYTHONPATH and the workspace must not replace the agent's own modules."""
        wanted: dict[str, Any] = {
            "max_output": 16384,
            "temperature": 1.0,
            "top_p": 1.0,
            "top_k": 0,
            "parallel_tool_calls": False,  # whether tools run side by side; never sent
            # Its own retry repeats every error, 400s too, after 3 to 30 s; the client below it retries twice.
            "max_retries": 0,
            "must_patch": False,
        } | dict(context.parameters)
        config = {
            "model_providers": {
                "gateway": {
                    "api_key": context.token,
                    "provider": "openai",
                    "base_url": f"{context.base_url}/v1",
                }
            },
            "models": {
                "model": {
                    "model_provider": "gateway",
                    "model": context.model,
                    **{spelling: wanted[name] for name, spelling in _MODEL.items()},
                    "max_retries": wanted["max_retries"],
                }
            },
            "agents": {
                "trae_agent": {
                    "enable_lakeview": False,
                    "model": "model",
                    "max_steps": MAX_STEPS,
                    "tools": ["bash", "str_replace_based_edit_tool", "sequentialthinking", "task_done"],
                }
            },
        }
        home = context.home
        argv = [f"{INSIDE}/.venv/bin/python", "-I", "-c", _START, f"{INSIDE}/trae_agent", "run"]
        argv += [
            "--file",
            f"{home}/{_PROMPT}",
            "--working-dir",
            context.workspace,
            "--config-file",
            f"{home}/{_CONFIG}",
        ]
        argv += ["--trajectory-file", f"{home}/{_TRAJECTORY}", "--console-type", "simple"]
        argv += ["--must-patch", "--patch-path", f"{home}/{_PATCH}"] if wanted["must_patch"] else []
        # The environment goes before its configuration file; set here, no .env file on the way can set it.
        env = {"OPENAI_API_KEY": context.token, "OPENAI_BASE_URL": f"{context.base_url}/v1"}
        return Launch(
            argv=tuple(argv),
            env=env,
            files={_CONFIG: yaml_text(config), _PROMPT: context.prompt},
            configured={name: Setting(wanted[name], _CONFIG, spelling) for name, spelling in _MODEL.items()},
        )

    def outcome(self, left: Left) -> AgentOutcome | None:
        """From `success` and the steps of its trajectory. A step's `state` says completed even on errors, and the
        exit code is 0 even when the provider refused every call; neither is read."""
        data = reading.read_file(left.home, _TRAJECTORY)
        trajectory = reading.mapping(reading.parse(data))
        if not trajectory:
            return None
        success = trajectory.get("success") is True
        ended = reading.text(trajectory.get("end_time")) is not None  # empty when it was ended from outside
        steps = [reading.mapping(s) for s in reading.sequence(trajectory.get("agent_steps"))]
        answers = [
            reading.mapping(reading.mapping(i).get("response"))
            for i in reading.sequence(trajectory.get("llm_interactions"))
        ]
        result = reading.text(trajectory.get("final_result"))
        error = reading.text(steps[-1].get("error")) if steps else None
        line = reading.last_line_with(data, b'"error": "') if error else None
        if error is None and ended and not success and result:
            error, line = result, reading.last_line_with(data, b'"final_result":')
        said = [reading.text(a.get("content")) for a in answers]
        usages = [_usage(a.get("usage")) for a in answers]
        return AgentOutcome(
            finished=success,
            claims_success=success if ended else None,
            message=next((words for words in reversed(said) if words), None),
            error=error,
            error_file="trajectory.json" if error else None,
            error_line=line,
            steps=len(steps),
            usage=total_usage(usages)[0] if any(usages) else None,
        )

    def trajectory(self, left: Left) -> Path | None:
        """The trajectory file it was told to write."""
        return reading.plain_file(left.home, _TRAJECTORY)

    def _fetched(self, progress: Progress) -> Path:
        try:
            python = find_interpreter("3.12")
        except EnvironmentFailed as error:
            raise AgentError(f"TRAE needs Python 3.12: {error.what}", hint=error.hint) from error

        revision = self._version or REVISION

        def make(folder: Path) -> None:
            progress(f"fetching TRAE {revision[:12]}")
            try:
                git("init", "--quiet", str(folder))
                git("fetch", "--quiet", "--depth", "1", SOURCE, revision, repository=folder / ".git")
                git("checkout", "--quiet", "--detach", "FETCH_HEAD", cwd=folder)
            except GitError as error:
                words = " ".join(error.stderr.splitlines()[-1:])
                raise AgentError(f"TRAE's source is not reachable: {words}", hint=_BY_PATH) from error
            progress("building TRAE's environment")
            options = ("--frozen", "--no-dev", "--no-install-project", "--extra", "evaluation")
            where = ("--link-mode", "copy", "--compile-bytecode", "--python", str(python.executable))
            built = run_uv("sync", *options, *where, cwd=folder)
            if built.returncode:
                words = "\n".join(built.stderr.strip().splitlines()[-12:])
                raise AgentError(f"TRAE's environment cannot be built:\n{words}", hint=_BY_PATH)

        return self._cache.entry("agents", f"trae-{revision}-{python.version}", make)


def _revision(checkout: Path) -> str | None:
    try:
        return git("rev-parse", "--short=12", "HEAD", cwd=checkout).decode().strip()
    except GitError:
        return None  # a copy without its repository


def _usage(value: Any) -> Usage | None:
    numbers = reading.mapping(value)
    if not numbers.get("input_tokens") and not numbers.get("output_tokens"):
        return None  # it writes 0 for unknown
    return usage_of_whole_input(
        numbers.get("input_tokens"),
        numbers.get("cache_read_input_tokens"),
        numbers.get("output_tokens"),
        reasoning=numbers.get("reasoning_tokens"),
    )
