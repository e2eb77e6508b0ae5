"""The probes of a run's lanes: side by side where each uses a real model, remembered for a day where none does."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import ValidationError

from speedproof import __version__
from speedproof.agents.protocol import Agent, Installation
from speedproof.execution.checks import Told, of_lane
from speedproof.execution.plan import Lane
from speedproof.execution.probe import Probed, probe, scripted
from speedproof.execution.wire import Wire
from speedproof.gateway import ModelChoice
from speedproof.gateway.models import SCRIPTED
from speedproof.journal.base import digest_of, now
from speedproof.journal.files import write_atomically
from speedproof.sandbox import Sandbox
from speedproof.tasks.leak import stamp_of
from speedproof.workspace.cache import Cache
from speedproof.workspace.machine import agents_at_work

AT_ONCE = 3
"""Probes under way together."""


class Means(Protocol):
    """What a probe draws on: a run's `Ready`."""

    sandbox: Sandbox
    cache: Cache
    wire: Wire
    agents: dict[str, Agent]
    installations: dict[str, Installation]
    models: dict[str, ModelChoice]
    probes: dict[str, Probed]
    """Gets what was asked of real models, by lane, as soon as it is known."""


def probe_lanes(
    means: Means, lanes: Iterable[tuple[str, str | None]], told: Told
) -> list[tuple[str, str | None, Probed]]:
    """Probe each agent with its model; a null model, or a scripted one, is our own script. Raises RecordError."""
    with agents_at_work(means.cache, "a preflight", told):
        return asyncio.run(_probe_lanes(means, list(lanes), told))


async def _probe_lanes(
    means: Means, lanes: list[tuple[str, str | None]], told: Told
) -> list[tuple[str, str | None, Probed]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(agent: str, model: str | None) -> Probed:
        adapter, installation = means.agents[agent], means.installations[agent]
        async with room:
            if model is None:
                return await _by_script(means, agent, told)
            lane, choice = of_lane(agent, model), means.models[model]
            told(f"{lane}: one tool round trip")

            def cut(spent: Probed) -> None:
                means.probes[lane] = spent
                told(f"{lane}: cut off; {spent.spent}")

            shown = await probe(adapter, installation, choice, means.sandbox, means.wire, means.cache, cut)
            means.probes[lane] = shown
            told(f"{lane}: {shown.said}")
            return shown

    asked = {lane: (lane[0], None if _is_scripted(means.models, lane[1]) else lane[1]) for lane in lanes}
    distinct = list(dict.fromkeys(asked.values()))
    shown = dict(zip(distinct, await asyncio.gather(*(one(*lane) for lane in distinct)), strict=True))
    return [(*lane, shown[asked[lane]]) for lane in lanes]


def _is_scripted(models: Mapping[str, ModelChoice], model: str | None) -> bool:
    return model is None or models[model].provider == SCRIPTED


async def _by_script(means: Means, agent: str, told: Told) -> Probed:
    """The probe of an agent with our script: it says the same each time, so that it is made once a day. One that shows
    something broken is not kept."""
    adapter, installation, cache, wire = means.agents[agent], means.installations[agent], means.cache, means.wire
    what = [
        "probe/2",
        __version__,
        f"{now():%Y-%m-%d}",
        Lane(agent, None).identity("")[0],
        adapter.protocol,
        installation.version,
        installation.sha256(),
        [[m.target, stamp_of(m.source)] for m in installation.mounts if not m.source.is_relative_to(cache.root)],
        means.sandbox.kind,
        [wire.configured, wire.pins, wire.side_models, wire.repair, wire.stop],
    ]
    digest = digest_of(what, 32)
    try:
        return Probed.model_validate_json((cache.root / "probes" / digest / "probe.json").read_bytes())
    except (OSError, ValidationError):
        told(f"{agent}: one tool round trip with our script")
    shown = await probe(adapter, installation, scripted(adapter), means.sandbox, wire, cache)
    if shown.broken is None:
        text = shown.model_dump_json()
        cache.entry("probes", digest, lambda folder: write_atomically(folder / "probe.json", text))
    return shown
