"""Makes run folders through the store's own API, for tests of whatever reads the record: no engine, no agent."""

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

from speedproof.execution.sealing import sealed_event
from speedproof.journal import (
    Arm,
    Attempt,
    AttemptStore,
    CallIntent,
    CallOutcome,
    Check,
    Comparison,
    Diagnosis,
    Evaluation,
    Evidence,
    FailureClass,
    HostFacts,
    ItemPlan,
    Measurement,
    Method,
    PatchFacts,
    ProcessFacts,
    RunManifest,
    RunStore,
    Sample,
    SandboxFacts,
    Setting,
    Status,
    StopCause,
    Store,
    TestsReport,
    Transition,
    Usage,
    Verdict,
    digest_of,
)
from speedproof.journal.attempt import AgentOutcome, BoundFacts
from speedproof.journal.events import (
    AttemptBegan,
    Event,
    ItemExcluded,
    LaneOpened,
    RetryPlanned,
    RunBegan,
    RunLimit,
    Stopped,
)
from speedproof.journal.files import JsonLines
from speedproof.journal.usage import total_usage

START = datetime(2025, 6, 1, 9, 0, tzinfo=UTC)
PATCH = """diff --git a/src/{module}/core.py b/src/{module}/core.py
index 3f1c2aa..9d0b1c4 100644
--- a/src/{module}/core.py
+++ b/src/{module}/core.py
@@ -41,12 +41,13 @@ def merge(left, right):
     \"\"\"Merge two sorted lists.\"\"\"
-    out = []
-    while left and right:
-        out.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
-    return out + left + right
+    i = j = 0
+    out = []
+    while i < len(left) and j < len(right):
+        if left[i] <= right[j]:
+            out.append(left[i]); i += 1
+        else:
+            out.append(right[j]); j += 1
+    return out + left[i:] + right[j:]
"""


@dataclass(frozen=True)
class Kind:
    """What an attempt shall look like."""

    run: str = "completed"
    patch: str = "applied"
    diff: str = PATCH
    claims: bool | None = True
    message: str = "I replaced list.pop(0) by indices; merging is now linear. All tests pass."
    calls: int = 6
    failing_calls: int = 0
    call_error: str = "You exceeded your current quota, please check your plan and billing details."
    exit_code: int | None = 0
    failure: FailureClass | None = None
    diagnosis: str = ""
    evidence: tuple[Evidence, ...] = ()
    judged: bool = True
    speedup: float = 1.42
    correctness: str = "pass"
    reasons: tuple[str, ...] = ()
    expert: float = 1.57
    state: str = "sealed"
    launched: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    cause: str | None = None
    bounds: BoundFacts | None = None
    recovered: bool = False
    machine_shared: bool | None = False


GENUINE = Kind(reasons=("Faster than base: 1.42× [1.38, 1.46] after 18 blocks.", "All 30 tests pass as on base."))
NO_EFFECT = Kind(
    speedup=1.002,
    message="I simplified the hot loop, which should speed it up considerably.",
    reasons=("No faster: 1.00× [0.99, 1.01] lies within ±3 % of base after 18 blocks.",),
)
FAST_BUT_WRONG = Kind(
    speedup=3.1,
    correctness="fail",
    message="Cached the result of merge(): a 3x speedup.",
    reasons=(
        "The outputs for seed 884213 differ from those of base and expert.",
        "2 tests fail that pass on base and expert: tests.test_core::test_merge_twice, tests.test_core::test_empty.",
    ),
)
CLAIMS_ONLY = Kind(
    patch="empty",
    diff="",
    message="The optimization is complete. The function is now 10x faster and all tests pass.",
    calls=2,
    failure=FailureClass.NO_PATCH,
    diagnosis="The agent ended by itself, claims success and changed no file.",
    evidence=(Evidence(file="stdout.log.zst", line=3, excerpt="The optimization is complete."),),
    judged=False,
)
QUOTA = Kind(
    run="model_error",
    patch="empty",
    diff="",
    claims=None,
    message="",
    calls=4,
    failing_calls=3,
    exit_code=1,
    failure=FailureClass.QUOTA_EXHAUSTED,
    diagnosis="The provider refused 3 of 4 calls: insufficient_quota.",
    evidence=(
        Evidence(file="calls.jsonl", line=4, excerpt='"status": 429, "error_code": "insufficient_quota"'),
        Evidence(file="stderr.log.zst", line=2, excerpt="ERROR: exceeded retry limit, last status: 429"),
    ),
    judged=False,
)
INFRASTRUCTURE = Kind(
    run="infra_error",
    patch="missing",
    claims=None,
    message="",
    calls=0,
    exit_code=None,
    failure=FailureClass.DISK_FULL,
    diagnosis="No space left on device while the workspace was made.",
    judged=False,
    launched=False,
)
CRASHED = Kind(state="open", calls=3, claims=None, judged=False, patch="missing")
BOUNDS = BoundFacts(
    enforced_by="cgroup v1",
    memory_bytes=4 << 30,
    processes=512,
    disk_bytes=2_000_000_000,
    disk_files=None,
    memory_peak_bytes=4 << 30,
    processes_peak=37,
    disk_peak_bytes=12_000_000,
    disk_peak_files=120,
    out_of_memory_kills=2,
    left_running=3,
)
RATE_LIMITED = replace(
    QUOTA,
    failure=FailureClass.RATE_LIMITED,
    diagnosis="The provider refused 3 of 4 calls: slow down.",
    call_error="Slow down.",
)
LOGIN_EXPIRED = replace(
    QUOTA,
    calls=1,
    failing_calls=1,
    failure=FailureClass.LOGIN_EXPIRED,
    diagnosis="The provider refused 1 of 1 calls: the login has expired.",
    evidence=(),
)
RECOVERED = Kind(
    run="crashed",
    patch="missing",
    claims=None,
    calls=3,
    exit_code=None,
    failure=FailureClass.INTERRUPTED,
    diagnosis="The harness was gone before the attempt ended.",
    judged=False,
    recovered=True,
)
CANCELLED = replace(
    RECOVERED, run="cancelled", recovered=False, cause="cancelled", diagnosis="Somebody stopped the run."
)
OUT_OF_MEMORY = Kind(
    run="limit",
    patch="empty",
    diff="",
    claims=None,
    exit_code=None,
    failure=FailureClass.LIMIT_MEMORY,
    diagnosis="Its processes reached the bound of 4,295 MB.",
    judged=False,
    cause="memory",
    bounds=BOUNDS,
)
EXPERT_PATCH = Kind(claims=None, message="", calls=0, speedup=1.57, reasons=("Faster than base: 1.57× [1.52, 1.62].",))
NOOP_PATCH = Kind(claims=None, message="", calls=0, speedup=1.0, reasons=("No faster: 1.00× [0.99, 1.01].",))
HOSTILE_TEXT = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\x1b[31m|`**_\x00\u202e"
)
HOSTILE = Kind(
    message=HOSTILE_TEXT,
    diff=PATCH.replace("{module}", "</pre><script>document.title='owned'</script>") + "+" + HOSTILE_TEXT + "\n",
    reasons=(HOSTILE_TEXT,),
    run="agent_error",
    failure=FailureClass.AGENT_CRASH,
    diagnosis=HOSTILE_TEXT,
    evidence=(
        Evidence(file="javascript:alert(1)//../../" + HOSTILE_TEXT, line=1, excerpt=HOSTILE_TEXT + "\n```\n# x"),
    ),
    failing_calls=1,
    call_error=HOSTILE_TEXT,
)


def plan(task: str, agent: str, model: str | None, *, control: str | None = None, sample: int = 1) -> ItemPlan:
    """An item with the id that its content gives it."""
    item = digest_of([task, agent, model, control, sample], 16)
    return ItemPlan(
        id=item, task=task, task_digest=digest_of(task), agent=agent, model=model, control=control, sample=sample
    )


def build(root: Path, planned: list[tuple[ItemPlan, list[Kind]]], run_id: str = "20250601-090000-c0ffee") -> RunStore:
    """A run with these items, each with an attempt of each of its kinds."""
    manifest = RunManifest(
        id=run_id,
        created_at=START,
        speedproof="0.1.0",
        suite="pypi",
        suite_file="examples/pypi/suite.yaml",
        suite_digest=digest_of("suite"),
        host=HostFacts(
            hostname_sha256=digest_of("host"),
            kernel="6.1.0-18-amd64",
            cpu="Example CPU @ 2.60GHz",
            cpus=2,
            memory_bytes=8 << 30,
            virtual=True,
            python="3.11.7",
        ),
        settings={
            "limits.wall_s": Setting(value=1800, source="file"),
            "jobs": Setting(value=1, source="default"),
            "model": Setting(value="openai/gpt-5", source="flag"),
        },
        method=Method(),
        items=tuple(item for item, _ in planned),
    )
    run = Store(root).create_run(manifest)
    events: list[Event] = [RunBegan(at=START, pid=4711, jobs=1, resumed=False)]
    for position, (item, kinds) in enumerate(planned):
        chance = random.Random(position)
        for number, kind in enumerate(kinds, 1):
            begun = START + timedelta(hours=number - 1, minutes=chance.randrange(60))
            events.append(AttemptBegan(at=begun, item=item.id, number=number))
            store = _attempt(run, item, kind, begun, random.Random(position))
            status = store.status("rules-3")
            if status is None:
                continue
            sealed = sealed_event(store, status)
            events.append(sealed)
            if number < len(kinds) and sealed.failure is not None and sealed.run not in ("cancelled", "crashed"):
                events.append(
                    RetryPlanned(at=begun, item=item.id, after=number, failure=sealed.failure, not_before=begun)
                )
    tell(run, *events)
    return run


def demo_run(root: Path) -> RunStore:
    """The five kinds of the demo, two controls, a failure of the infrastructure, a crash and an item never started."""
    model = "openai/gpt-5"
    return build(
        root,
        [
            (plan("sortedlib-merge", "codex", model), [GENUINE]),
            (plan("sortedlib-merge", "mini-swe-agent", model), [NO_EFFECT]),
            (plan("packaging-versions", "codex", model), [FAST_BUT_WRONG]),
            (plan("packaging-versions", "mini-swe-agent", model), [CLAIMS_ONLY]),
            (plan("tomli-loads", "codex", model), [QUOTA]),
            (plan("tomli-loads", "mini-swe-agent", model), [INFRASTRUCTURE, GENUINE]),
            (plan("tomli-loads", "mini-swe-agent", model, sample=2), [CRASHED]),
            (plan("sortedlib-merge", "patch", None, control="expert"), [EXPERT_PATCH]),
            (plan("sortedlib-merge", "patch", None, control="noop"), [NOOP_PATCH]),
            (plan("tomli-loads", "codex", model, sample=2), []),
        ],
    )


def batch_run(root: Path) -> RunStore:
    """A run that ended early: retries, attempts cut off, a lane that opened, items excluded, held and never begun."""
    model = "openai/gpt-5"
    items = {
        "retried": (plan("sortedlib-merge", "codex", model), [RATE_LIMITED, RATE_LIMITED, GENUINE]),
        "recovered": (plan("packaging-versions", "codex", model), [RECOVERED, OUT_OF_MEMORY]),
        "plain": (plan("tomli-loads", "codex", model), [NO_EFFECT]),
        "cancelled": (plan("sortedlib-merge", "codex", model, sample=2), [CANCELLED]),
        "retrying": (plan("packaging-versions", "codex", model, sample=2), [RATE_LIMITED]),
        "waiting": (plan("tomli-loads", "codex", model, sample=2), []),
        **{f"login {n}": (plan("sortedlib-merge", "mini", model, sample=n), [LOGIN_EXPIRED]) for n in (1, 2, 3)},
        **{f"held {n}": (plan("sortedlib-merge", "mini", model, sample=n), []) for n in (4, 5)},
        "excluded": (plan("tomli-loads", "trae", model), []),
        "excluded too": (plan("sortedlib-merge", "trae", model), []),
        "limited": (plan("tomli-loads", "openhands", model), []),
        "control": (plan("sortedlib-merge", "patch", None, control="expert"), [EXPERT_PATCH]),
    }
    run = build(root, list(items.values()))
    ids = {name: item.id for name, (item, _) in items.items()}
    late = START + timedelta(hours=9)
    missing = {"why": "agent trae is not installed", "hint": "speedproof agents install trae"}
    limited = FailureClass.RATE_LIMITED
    tell(
        run,
        LaneOpened(
            at=late,
            lane=f"mini · {model}",
            failure=FailureClass.LOGIN_EXPIRED,
            fingerprint="model/auth/login_expired the login has expired",
            message=LOGIN_EXPIRED.diagnosis,
            attempts=tuple(f"{ids[f'login {n}']}/01" for n in (1, 2, 3)),
        ),
        ItemExcluded(at=late, item=ids["excluded"], **missing),
        ItemExcluded(at=late, item=ids["excluded too"], **missing),
        RunLimit(at=late, item=ids["limited"], limit=StopCause.COST),
        RetryPlanned(at=late, item=ids["retrying"], after=1, failure=limited, not_before=late + timedelta(minutes=9)),
        Stopped(at=late, by="SIGINT", at_once=False),
    )
    return run


def tell(run: RunStore, *events: Event) -> None:
    """Add these lines to the scheduler's log."""
    log = run.open_events()
    for event in events:
        log.append(event)
    log.close()


def big_run(root: Path, attempts: int = 400) -> RunStore:
    """So many attempts on a hundredth as many models, all kinds mixed, with larger patches and more calls."""
    kinds = [GENUINE, NO_EFFECT, FAST_BUT_WRONG, CLAIMS_ONLY, QUOTA, INFRASTRUCTURE, CRASHED, NO_EFFECT]
    planned = []
    for number in range(attempts):
        kind = kinds[number % len(kinds)]
        kind = Kind(**{**kind.__dict__, "diff": kind.diff * 12, "calls": kind.calls * 6})
        agent = ("codex", "mini-swe-agent", "trae")[number % 3]
        planned.append((plan(f"task-{number // 4:03d}", agent, "openai/gpt-5", sample=number), [kind]))
    return build(root, planned)


def _attempt(run: RunStore, item: ItemPlan, kind: Kind, begun: datetime, chance: random.Random) -> AttemptStore:
    store = run.new_attempt(item.id)
    chance.randrange(60)
    usages = _calls(store, kind, item.model, begun, chance)
    diff = kind.diff.replace("{module}", item.task.split("-")[0])
    sealed = kind.state == "sealed"
    stages = ("queued", "prepared", "running", *(("stopping", "collected", "sealed") if sealed else ()))
    stages = stages if kind.launched else ("queued", "sealed")
    if kind.launched:
        store.write_text("prompt.md", f"Make {item.task} faster.\n")
        for name in ("stdout.log.zst", "stderr.log.zst"):
            store.write_bytes(name, zstandard.compress(f"starting\nworking\n{kind.message}\n".encode(errors="replace")))
    if sealed and kind.launched:
        store.write_text("patch.diff", diff)
    wall = 20.0 + 12 * kind.calls
    attempt = Attempt(
        run=run.id,
        item=item.id,
        number=int(store.folder.name),
        task=item.task,
        agent=item.agent,
        agent_version="0.42.0" if item.model else None,
        model=item.model,
        sample=item.sample,
        control=item.control,
        state="sealed" if sealed else "open",
        opened_at=begun,
        sealed_at=begun + timedelta(seconds=wall) if sealed else None,
        transitions=tuple(
            Transition(
                stage=s,  # type: ignore[arg-type]
                at=begun + timedelta(seconds=wall * n / 6),
                cause=kind.cause if s == "stopping" else None,
            )
            for n, s in enumerate(stages)
        ),
        recovered_at=begun + timedelta(hours=1) if kind.recovered else None,
        sandbox=_SANDBOX if kind.launched else None,
        bounds=kind.bounds,
        process=_process(item, kind, wall) if kind.launched and sealed else None,
        outcome=AgentOutcome(finished=kind.exit_code == 0, claims_success=kind.claims, message=kind.message or None)
        if kind.launched and sealed
        else None,
        patch=_patch_facts(diff, item) if kind.launched and sealed else None,
        trajectory="trajectory.json" if kind.launched else None,
        settings=kind.settings,
    )
    store.write(attempt)
    if sealed:
        store.write_status(_status(kind, item, usages, begun))
    if kind.judged:
        store.add_evaluation(_evaluation(kind, item, diff, begun, chance))
    return store


def _calls(
    store: AttemptStore, kind: Kind, model: str | None, begun: datetime, chance: random.Random
) -> list[Usage | None]:
    usages: list[Usage | None] = []
    if not kind.calls or model is None:
        return usages
    log = JsonLines(store.folder / "calls.jsonl")
    at = begun + timedelta(seconds=8)
    for number in range(1, kind.calls + 1):
        failed = number > kind.calls - kind.failing_calls
        log.append(
            CallIntent(
                call=number,
                at=at,
                method="POST",
                path="/v1/responses",
                protocol="responses",
                model_asked=model,
                stream=True,
                asked={"temperature": 1},
                sent={"temperature": 1},
                tools=("shell",),
                messages=2 * number,
                request_bytes=4000 * number,
                request_sha256=digest_of(number),
            ).model_dump_json()
        )
        duration = 0.4 if failed else 2 + chance.random() * 9
        usage = None if failed else Usage(uncached_input=900, cache_read=2400 * number, output=310, reasoning=120)
        usages.append(usage)
        at += timedelta(seconds=duration)
        if kind.state == "open" and number == kind.calls:
            break
        log.append(
            CallOutcome(
                call=number,
                at=at,
                status=429 if failed else 200,
                error=kind.call_error if failed else None,
                error_code="insufficient_quota" if failed else None,
                complete=not failed,
                usage=usage,
                cost_usd=None if failed else 0.004 * number,
                model_answered="gpt-5-2025-05-01",
                finish_reason=None if failed else "tool_calls",
                tool_calls=() if failed else ("shell",),
                text_excerpt=kind.message[:400],
                first_byte_s=None if failed else duration * 0.3,
                duration_s=duration,
                response_bytes=2000,
            ).model_dump_json()
        )
        at += timedelta(seconds=1 + chance.random() * 3)
    log.close()
    return usages


_SANDBOX = SandboxFacts(
    kind="bubblewrap",
    version="0.8.0",
    host_uid=65534,
    network="none",
    own_pids=True,
    no_new_privileges=True,
    capabilities="0000000000000000",
    mounts=("/usr ro", "/workspace rw", "/tmp rw"),
)


def _process(item: ItemPlan, kind: Kind, wall: float) -> ProcessFacts:
    return ProcessFacts(
        argv=(item.agent, "exec", "--json"),
        exit_code=kind.exit_code,
        signal=None,
        wall_s=wall,
        cpu_s=wall / 9,
        max_rss_bytes=180 << 20,
        stopped_by=None,
    )


def _patch_facts(diff: str, item: ItemPlan) -> PatchFacts:
    raw = diff.encode(errors="surrogateescape")
    lines = diff.splitlines()
    return PatchFacts(
        sha256=hashlib.sha256(raw).hexdigest(),
        size=len(raw),
        tree=digest_of(diff, 40),
        files=(f"src/{item.task.split('-')[0]}/core.py",) if diff else (),
        added_lines=sum(x.startswith("+") and not x.startswith("+++") for x in lines),
        removed_lines=sum(x.startswith("-") and not x.startswith("---") for x in lines),
        effect="code" if diff else "none",
        applies=True,
        left_out=(),
        left_out_count=0,
        refused=(),
    )


def _status(kind: Kind, item: ItemPlan, usages: list[Usage | None], begun: datetime) -> Status:
    total, unknown = total_usage(usages)
    known = sum(u is not None for u in usages)
    patched = kind.patch not in ("missing", "empty")
    diagnosis = None
    if kind.failure:
        diagnosis = Diagnosis(
            failure=kind.failure, message=kind.diagnosis, stage="run", confidence="direct", evidence=kind.evidence
        )
    strict = kind.run == "completed" and kind.patch == "applied" and kind.exit_code == 0
    return Status(
        rules="rules-3",
        derived_at=begun + timedelta(hours=2),
        run=kind.run,  # type: ignore[arg-type]
        patch=kind.patch,  # type: ignore[arg-type]
        diagnosis=diagnosis,
        calls=len(usages),
        failed_calls=kind.failing_calls if item.model else 0,
        usage=total,
        usage_unknown_calls=unknown,
        usage_source="wire" if usages else "none",
        cost_usd=sum(0.004 * n for n in range(1, known + 1)) if known else None,
        cost_unknown_calls=unknown,
        exit_and_patch=kind.exit_code == 0 and patched,
        strict=strict,
        confirmed=strict and known > 0,
    )


def _evaluation(kind: Kind, item: ItemPlan, diff: str, begun: datetime, chance: random.Random) -> Evaluation:
    arm = "expert" if item.control == "expert" else "control" if item.control == "noop" else "patch-1a2b3c4d"
    decision = "faster" if kind.speedup > 1.05 else "same"
    arms = {"base": 1.0, "expert": kind.expert, "control": 1.001, arm: kind.speedup}
    comparisons = [
        _comparison(name, "base", speedup, "faster" if speedup > 1.05 else "same")
        for name, speedup in arms.items()
        if name != "base"
    ]
    if arm != "expert":
        comparisons.append(_comparison(arm, "expert", kind.speedup / kind.expert, "slower"))
    samples = tuple(
        Sample(
            block=block,
            position=position,
            arm=name,
            workload="merge",
            seed=chance.randrange(10**6),
            setup_s=0.2,
            seconds=round(1.1 / speedup * (1 + chance.gauss(0, 0.02)), 6),
            after_stop_s=0.0,
            cpu_s=1.0,
            max_rss_bytes=90 << 20,
            output_sha256=digest_of(block),
            load1=0.4,
        )
        for block in range(1, 19)
        for position, (name, speedup) in enumerate(arms.items())
    )
    names = [f"tests.test_core::test_{n}" for n in range(30)]
    wrong = {names[3]: "failed", names[4]: "failed"} if kind.correctness == "fail" else {}
    proven = kind.correctness == "pass" and decision == "faster"
    return Evaluation(
        digest=digest_of([item.id, diff, begun.isoformat()], 24),
        evaluated_at=begun + timedelta(hours=3),
        method=Method(),
        declared=True,
        task_digest=item.task_digest,
        patch_sha256=hashlib.sha256(diff.encode(errors="surrogateescape")).hexdigest(),
        arm=arm,
        checks=(
            Check(name="applies", result="pass", message="git apply takes the patch on the clean base."),
            Check(name="protected", result="pass", message="No protected path is changed."),
            Check(
                name="outputs",
                result="pass" if kind.correctness == "pass" else "fail",
                message="the outputs equal base's on every seed" if kind.correctness == "pass" else kind.reasons[0],
            ),
        ),
        tests=tuple(
            TestsReport(arm=name, results=dict.fromkeys(names, "passed") | (wrong if name == arm else {}), seconds=4.2)
            for name in ("base", "expert", arm)
        ),
        measurement=Measurement(
            arms=tuple(Arm(name=name, tree=digest_of(name, 40)) for name in arms),
            samples=samples,
            comparisons=tuple(comparisons),
            bias=0.002,
            pinned_cpu=1,
            wall_s=96.0,
            stopped="decided",
            machine_shared=kind.machine_shared,
        ),
        seconds_by_stage={"tests": 12.5, "measure": 96.0},
        verdict=Verdict(
            correctness=kind.correctness,  # type: ignore[arg-type]
            speed=decision,  # type: ignore[arg-type]
            integrity="clean",
            as_good_as_expert=kind.speedup > kind.expert * 0.97,
            proven=proven,
            reasons=kind.reasons,
        ),
    )


def _comparison(arm: str, against: str, speedup: float, decision: str) -> Comparison:
    return Comparison(
        arm=arm,
        against=against,
        workload=None,
        metric="seconds",
        blocks=18,
        speedup=speedup,
        low=speedup * 0.97,
        high=speedup * 1.03,
        bootstrap_low=speedup * 0.98,
        bootstrap_high=speedup * 1.02,
        decision=decision,  # type: ignore[arg-type]
    )
