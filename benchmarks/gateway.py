"""What the gateway adds to a model call: latency, delay of each streamed chunk, and calls a second.

Beside it, in the same call and on the same provider: no proxy; a bare one that passes calls through the gateway's HTTP
library and does nothing else, which is what Python leaves for the gateway's own work; and the LiteLLM proxy. Every arm
is one process, and so are the provider, which echoes, and the load generator. The gateway records everything, as in a
run: one attempt a connection, each in a folder of its own. LiteLLM writes an access log. Each round measures the arms
in random order; figures are medians over rounds of the round's percentile, "added" is against no proxy in the same
round.

usage: uv run python benchmarks/gateway.py [--rounds N] [--seconds S] [--json]
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from gateway_load import REQUEST_BYTES, Load, Taken, bare, caller, provider

from speedproof.errors import EnvironmentFailed
from speedproof.gateway import Budget, Gateway, Session, resolve_model
from speedproof.journal import AttemptStore, CallOutcome
from speedproof.workspace.cache import Cache
from speedproof.workspace.environment import build_environment

REQUIREMENT = "litellm[proxy]"
CONNECTIONS = (1, 16, 64)
WANTED_ADDED_MS, WANTED_TIMES = 1.5, 20
ARMS = {"none": "no proxy", "bare": "bare proxy", "speedproof": "speedproof", "litellm": "LiteLLM"}
START_S = 120.0


# The gateway: in a process of its own, as in a run.


def gateway(pipe: "Connection[Any, Any]", port: int, folder: Path) -> None:
    """The gateway's process: on a number, opens so many attempts and tells their places; on 0, closes them and tells
    how many calls their records hold whole."""

    async def serve() -> None:
        model = resolve_model("echo/echo", f"http://127.0.0.1:{port}/v1", {"SPEEDPROOF_API_KEY": "sk-real-0123456789"})
        taken = 0
        async with Gateway() as server:
            while (wanted := await asyncio.to_thread(pipe.recv)) is not None:
                sessions: list[tuple[Session, Path]] = []
                places = []
                for _ in range(wanted):
                    taken += 1
                    place = folder / f"{taken:05d}"
                    place.mkdir()
                    session = server.open(place / "calls.jsonl", model, Budget(), bodies=place / "bodies.zst")
                    sessions.append((session, place))
                    places.append((await server.listen(session), session.token))
                pipe.send(places)
                await asyncio.to_thread(pipe.recv)
                for session, _ in sessions:
                    await server.close(session)
                pipe.send(sum(_whole_calls(place) for _, place in sessions))

    asyncio.run(serve())


def _whole_calls(place: Path) -> int:
    good, bad = AttemptStore(place).calls()
    outcomes = [record for _, record in good if isinstance(record, CallOutcome)]
    return sum(o.complete and o.usage is not None for o in outcomes) if not bad else 0


# LiteLLM: its proxy as its makers ship it, one worker.


@contextmanager
def litellm(provider_port: int, folder: Path) -> Iterator[tuple[int, str]]:
    """Its proxy's port and version while it runs. Raises EnvironmentFailed when it cannot be installed or started."""
    environment = build_environment([REQUIREMENT], None, Cache(), lambda told: print(told, file=sys.stderr))
    program = environment.folder / "bin" / "python"
    ask = "import importlib.metadata as m; print(m.version('litellm'))"
    version = subprocess.run([program, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    folder.mkdir()
    parameters = {"model": "openai/echo", "api_base": f"http://127.0.0.1:{provider_port}/v1", "api_key": "none"}
    settings = {
        "model_list": [{"model_name": "echo", "litellm_params": parameters}],
        "litellm_settings": {"telemetry": False},
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},  # on loopback, with a dummy key
    }
    configuration = folder / "config.yaml"
    configuration.write_text(json.dumps(settings))  # JSON is YAML
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    place = ("--config", str(configuration), "--host", "127.0.0.1", "--port", str(port))
    variables = {"HOME": str(folder), "PATH": os.environ["PATH"], "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    log = folder / "litellm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.folder / "bin" / "litellm", *place, "--telemetry", "False", "--num_workers", "1"],
            env=variables,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_S
        while not _lives(port):
            if process.poll() is not None or time.monotonic() > deadline:
                words = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise EnvironmentFailed(f"the LiteLLM proxy did not start:\n{words}")
            time.sleep(0.2)
        yield port, version
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _lives(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/liveliness", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# The measurement.


def measure(rounds: int, seconds: float, folder: Path) -> dict[str, Any]:
    """All figures, as `--json` prints them: seconds and calls a second; null for an arm that is not there."""
    with ExitStack() as stack:
        echo, load = _process(stack, provider), _process(stack, caller)
        port = echo.recv()
        (folder / "attempts").mkdir()
        proxy = _process(stack, gateway, port, folder / "attempts")
        places = {"none": (port, "none"), "bare": (_process(stack, bare, port).recv(), "none")}
        version = missing = None
        try:
            places["litellm"], version = _opened(stack.enter_context(litellm(port, folder / "litellm")))
        except EnvironmentFailed as error:
            missing = str(error)

        def take(arm: str, connections: int, seconds: float | None) -> Taken:
            if arm == "speedproof":
                proxy.send(connections)
            to = proxy.recv() if arm == "speedproof" else [places[arm]] * connections
            load.send(Load(to, seconds))
            taken = load.recv()
            if arm == "speedproof":
                proxy.send(0)
                recorded = proxy.recv()
                if isinstance(taken, Taken) and recorded != taken.calls:
                    raise SystemExit(f"{taken.calls} calls were answered, {recorded} recorded")
            if not isinstance(taken, Taken):
                raise SystemExit(f"{ARMS[arm]}, {connections} connections: {taken}")
            return taken

        arms = [arm for arm in ARMS if arm in places or arm == "speedproof"]
        for arm in arms:
            take(arm, CONNECTIONS[-1], seconds / 4)  # warms up
        found: list[dict[str, dict[str, float]]] = []
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            figures: dict[str, dict[str, float]] = {arm: {} for arm in arms}
            for connections in CONNECTIONS:
                for arm in random.sample(arms, len(arms)):
                    taken = take(arm, connections, seconds)
                    figures[arm][f"calls_per_s_{connections}"] = taken.calls / taken.elapsed_s
                    if connections == 1:
                        figures[arm] |= _percentiles("call", taken)
            for arm in random.sample(arms, len(arms)):
                figures[arm] |= _percentiles("chunk", take(arm, 1, None))
            found.append(figures)
        for pipe in (proxy, load):
            pipe.send(None)
    return {
        "rounds": rounds,
        "request_bytes": REQUEST_BYTES,
        "litellm": version,
        "litellm_missing": missing,
        "arms": {arm: _summary(found, arm) if arm in arms else None for arm in ARMS},
        **_compared(found, "litellm" in arms),
    }


def _opened(found: tuple[int, str]) -> tuple[tuple[int, str], str]:
    port, version = found
    return (port, "none"), version


def _process(stack: ExitStack, target: Callable[..., None], *arguments: Any) -> "Connection[Any, Any]":
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    stack.callback(process.join)
    stack.callback(process.terminate)
    return here


def _percentiles(what: str, taken: Taken) -> dict[str, float]:
    cuts = statistics.quantiles(taken.seconds, n=100, method="inclusive")
    return {f"{what}_p50_s": cuts[49], f"{what}_p99_s": cuts[98]}


def _summary(found: list[dict[str, dict[str, float]]], arm: str) -> dict[str, float]:
    summary = {name: statistics.median(figures[arm][name] for figures in found) for name in found[0][arm]}
    for name in [name for name in summary if name.endswith("_s") and "_per_" not in name]:
        added = [figures[arm][name] - figures["none"][name] for figures in found]
        summary[name.replace("_s", "_added_s")] = statistics.median(added)
    return summary


def _compared(found: list[dict[str, dict[str, float]]], both: bool) -> dict[str, float | None]:
    def times(connections: int) -> float:
        name = f"calls_per_s_{connections}"
        return statistics.median(figures["speedproof"][name] / figures["litellm"][name] for figures in found)

    return {f"times_litellm_{connections}": times(connections) if both else None for connections in CONNECTIONS}


def table(result: dict[str, Any]) -> str:
    """The figures, with what is wanted and what we got."""
    arms = result["arms"]
    there = f"LiteLLM {result['litellm'] or 'not there'}"
    lines = [
        f"{result['rounds']} rounds, requests of {result['request_bytes']:,} bytes, {there}, one process each",
        f"{'':36}" + "".join(f"{name:>12}" for name in ARMS.values()),
    ]
    rows = [
        (f"{what}, {percentile}{', added' if added else ''} (ms)", f"{key}_{percentile}{'_added' * added}_s", 1e3)
        for what, key in (("call", "call"), ("streamed chunk", "chunk"))
        for percentile in ("p50", "p99")
        for added in (False, True)
    ]
    rows += [(f"calls/s, {connections} connections", f"calls_per_s_{connections}", 1) for connections in CONNECTIONS]
    for label, name, factor in rows:
        cells = ["–" if arms[arm] is None else f"{arms[arm][name] * factor:,.2f}" for arm in ARMS]
        lines.append(f"{label:36}" + "".join(f"{cell:>12}" for cell in cells))
    lines.append(f"{'':36}{'wanted':>12}{'got':>12}")
    got = arms["speedproof"]["call_p50_added_s"] * 1e3
    lines.append(f"{'call, p50, added (ms)':36}{f'≤ {WANTED_ADDED_MS}':>12}{got:>12.2f}")
    for connections in CONNECTIONS:
        times = result[f"times_litellm_{connections}"]
        shown = "–" if times is None else f"{times:.1f}"
        lines.append(f"{f'× LiteLLM, {connections} connections':36}{f'≥ {WANTED_TIMES}':>12}{shown:>12}")
    if result["litellm_missing"]:
        lines.append(f"LiteLLM was not measured: {result['litellm_missing']}")
    return "\n".join(lines)


def main() -> None:
    """Measure in a temporary folder, and print the table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of calls for each figure of a round")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that LiteLLM ends with us
    folder = Path(tempfile.mkdtemp(prefix="speedproof-benchmark-"))
    try:
        result = measure(arguments.rounds, arguments.seconds, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result) if arguments.json else table(result))


if __name__ == "__main__":
    main()
