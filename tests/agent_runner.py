"""Drives a real agent against the real gateway and a scripted model, as a plain process or in a sandbox."""

import asyncio
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speedproof.agents.protocol import Agent, LaunchContext, Left
from speedproof.gateway import Budget, Gateway, resolve_model
from speedproof.journal.bodies import read_bodies
from speedproof.sandbox import Box, HostSandbox, Mount, Sandbox
from speedproof.sandbox.box import HOME, MODEL_PORT, WORKSPACE
from speedproof.workspace.cache import silent
from speedproof.workspace.git import git
from speedproof.workspace.tree import give_to


@dataclass(frozen=True)
class Driven:
    """What a driven agent left."""

    left: Left
    exit_code: int
    workspace: Path
    intents: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    asked: list[Any]
    """The bodies of its requests, as forwarded."""


def drive(
    agent: Agent,
    script: str,
    tmp_path: Path,
    prompt: str = "Make it fast.",
    sandbox: Sandbox | None = None,
    *,
    files: Mapping[str, str] | None = None,
) -> Driven:
    """Run `agent` on a repository of these `files` with a model that follows `script` (YAML)."""
    sandbox = sandbox or HostSandbox()
    (tmp_path / "script.yaml").write_text(script)
    workspace, home = tmp_path / "tree", tmp_path / "home"
    git("init", "--quiet", str(workspace))
    for name, text in (files or {}).items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    home.mkdir()
    calls, bodies = tmp_path / "calls.jsonl", tmp_path / "bodies.zst"
    installation = agent.locate(silent)
    places = (Mount(workspace, WORKSPACE, writable=True), Mount(home, HOME, writable=True))

    async def run() -> tuple[int, bytes, bytes]:
        ours, theirs = socket.socketpair()
        async with Gateway() as gateway:
            model = resolve_model(f"scripted:{tmp_path / 'script.yaml'}", None, {})
            session = gateway.open(calls, model, Budget(), bodies=bodies)
            isolated = sandbox.kind != "none"
            port = MODEL_PORT if isolated else await gateway.listen(session)
            context = LaunchContext(
                prompt=prompt,
                workspace=sandbox.as_seen(places[0].target, places[:2]),
                home=sandbox.as_seen(places[1].target, places[:2]),
                model=model.model,
                base_url=f"http://127.0.0.1:{port}",
                token=session.token,
            )
            launch = agent.launch(context)
            launch.write_files(home)
            for folder in (workspace, home):
                give_to(folder, sandbox.uid)
            common = {"PATH": "/usr/bin:/bin", "HOME": context.home, "TMPDIR": context.home, "LANG": "C.UTF-8"}
            box = Box(
                launch.argv,
                cwd=context.workspace,
                env={**common, "PYTHONPATH": context.workspace, **launch.env},
                mounts=(*places, *installation.mounts),
                interpreters=installation.interpreters,
                listen=theirs.fileno() if isolated else None,
            )
            started = sandbox.start(box)
            process = await asyncio.create_subprocess_exec(
                *started.argv,
                env=started.env,
                cwd=started.cwd,
                pass_fds=started.fds,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            for descriptor in started.opened:
                os.close(descriptor)
            try:
                theirs.close()
                if isolated:
                    _, fds, _, _ = await asyncio.to_thread(socket.recv_fds, ours, 16, 1)
                    await gateway.attach(session, socket.socket(fileno=fds[0]))
                    ours.send(b"+")
                ours.close()
                stdout, stderr = await asyncio.wait_for(process.communicate(launch.stdin), 60)
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, 9)
                    await process.wait()
            assert process.returncode is not None
            return process.returncode, stdout, stderr

    code, stdout, stderr = asyncio.run(run())
    left = Left(home, stdout.decode(errors="replace").split("\n"), stderr.decode(errors="replace").split("\n"))
    lines = [json.loads(line) for line in calls.read_text().splitlines()]
    return Driven(
        left,
        code,
        workspace,
        [line for line in lines if line["kind"] == "intent"],
        [line for line in lines if line["kind"] == "outcome"],
        [json.loads(body) for i in lines if (body := read_bodies(bodies).get(i.get("sent_sha256") or ""))],
    )
