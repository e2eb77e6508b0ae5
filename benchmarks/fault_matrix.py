"""What becomes of each agent when its provider fails: agent × fault, each cell an attempt as in a run.

A real agent, in the sandbox, through the gateway, edits a file on a tiny task; then the scripted provider fails. Shown
are how the attempt went and the class of its diagnosis, as a run derives them. A cell is wrong when it is not what must
become of it, when a process is left, when it outlives its limits, or when the edit is lost.

usage: uv run python benchmarks/fault_matrix.py [--agent NAME ...] [--fault NAME ...] [--at-once N] [--state FOLDER]
    [--json] [--write docs/agents.md]
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from speedproof.agents.registry import INSTALLED
from speedproof.errors import AgentError, EnvironmentFailed
from speedproof.execution.fault_table import refresh
from speedproof.execution.faults import NAMES, Cell, try_faults
from speedproof.sandbox import Bubblewrap


def main() -> None:
    """Try every agent with every fault, and print or write what became of them; exit code 1 when a cell is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", action="append", help="default: all that can be installed here")
    parser.add_argument("--fault", action="append", choices=NAMES, help="default: all")
    parser.add_argument("--at-once", type=int, default=3, help="attempts at once; default: 3")
    parser.add_argument("--state", type=Path, help="a folder that does not exist yet, to keep the records in")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path, help="a page with the table; rows of other agents stay")
    arguments = parser.parse_args()
    if arguments.write and arguments.fault:
        parser.error("--write needs whole rows: drop --fault")
    folder = arguments.state or Path(tempfile.mkdtemp(prefix="speedproof-faults-"))
    cells: list[Cell] = []
    try:
        for agent in arguments.agent or INSTALLED:
            place = folder / agent.replace("/", "-")
            place.mkdir(parents=True)
            try:
                cells += try_faults(
                    agent,
                    arguments.fault or NAMES,
                    sandbox=Bubblewrap(),
                    folder=place,
                    at_once=arguments.at_once,
                    told=lambda what: print(what, file=sys.stderr),
                )
            except (AgentError, EnvironmentFailed) as error:
                print(f"{agent} is left out: {error.what}", file=sys.stderr)
    finally:
        if arguments.state is None:
            shutil.rmtree(folder)
    if arguments.write:
        refresh(arguments.write, cells)
    if arguments.json:
        print(json.dumps([cell.model_dump(mode="json") | {"wrong": cell.wrong} for cell in cells]))
    else:
        for cell in cells:
            show(cell)
    if any(cell.wrong for cell in cells):
        raise SystemExit(1)


def show(cell: Cell) -> None:
    """A line for a cell, and one for each thing that is wrong with it."""
    end = f"ended by {cell.stopped_by}" if cell.stopped_by else f"exit code {cell.exit_code}"
    failure = cell.failure.value if cell.failure else ""
    calls = f"{cell.failed_calls} of {cell.calls} calls failed, {cell.retries} retried"
    took = f"{cell.seconds or 0:6.1f} s"
    print(f"{cell.agent:10} {cell.fault:19} {cell.run:12} {failure:36} {took}  {end:14}  {calls}")
    for said in cell.wrong:
        print(f"    wrong: {said}")


if __name__ == "__main__":
    main()
