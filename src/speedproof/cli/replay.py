"""speedproof replay"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from speedproof.cli.options import (
    DEFAULT_STATE,
    AgentPaths,
    Json,
    SandboxKind,
    State,
    SuiteOfRun,
    agent_paths_of,
    store_of,
    suite_of,
)
from speedproof.execution.preflight import choose_sandbox
from speedproof.execution.replay import Replayed, replay_attempt
from speedproof.workspace.cache import Cache
