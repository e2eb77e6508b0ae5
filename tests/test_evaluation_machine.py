"""Judging measures alone on the machine, or says that it did not."""

import os
import threading
from pathlib import Path

from small_project import GENUINE, Project, prepare_small
from speedproof.evaluation.judge import Judge
from speedproof.execution.host import host_facts
from speedproof.journal import Method
from speedproof.sandbox import Bubblewrap
from speedproof.workspace.cache import Cache
from speedproof.workspace.machine import AgentsAtWork

METHOD = Method(looks=(2,))


def test_forced_beside_agents_the_measurement_says_so_and_else_waits_until_they_end(
    tmp_path: Path, project: Project, cache: Cache
) -> None:
    prepared = prepare_small(tmp_path, project, cache, tests=None)
    patches = {"mine": project.patch({"tools.py": GENUINE})}
    agents = AgentsAtWork(cache, "run one")
    waited: list[str] = []

    def told(what: str) -> None:
        if "waiting for the stopwatch" in what:
            waited.append(what)
            agents.leave()

    def judged(*, beside_agents: bool) -> bool | None:
        judge = Judge(prepared, Bubblewrap(), METHOD, host_facts(), beside_agents=beside_agents, told=told)
        with judge:
            measurement = judge.judge(patches)["mine"].measurement
        assert measurement is not None and {"wait", "measure"} <= judge.seconds.keys()
        return measurement.machine_shared

    others = threading.Thread(target=agents.enter)  # judging in the thread that lets them work would wait for itself
    others.start()
    others.join()
    assert (judged(beside_agents=True), waited) == (True, [])
    assert judged(beside_agents=False) is False
    assert waited == [f"waiting for the stopwatch: agents of run one (process {os.getpid()})"]
