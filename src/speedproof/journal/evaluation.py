"""The judgement of one patch by one method: checks, tests, measurements, verdict."""

from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from speedproof.errors import InputError
from speedproof.journal.base import Evidence, Record
from speedproof.journal.failure import Diagnosis

Correctness = Literal["pass", "fail", "flaky", "unknown"]
Speed = Literal["faster", "slower", "same", "inconclusive", "not_measured"]
Integrity = Literal["clean", "flagged", "unreviewed"]


class Method(Record):
    """How patches are judged; declared in the run's manifest beforehand."""

    name: str = "blocks"
    """Name of the method: interleaved blocks, signed-rank test with repeated intervals."""
    version: int = 1
    """Its version; another version is another method."""
    alpha: float = Field(default=0.01, gt=0, lt=1)
    """Two-sided error over all looks together."""
    threshold: float = 0.01
    """Practical threshold: faster needs a speedup of more than 1 + threshold."""
    margin: float = 0.03
    """Equivalence margin: same needs the whole interval within 1/(1 + margin) … 1 + margin."""
    looks: tuple[int, ...] = Field(default=(12, 18, 27, 40, 60), min_length=1)
    """Numbers of blocks after which a decision is sought; the last is the maximum."""

    @field_validator("looks")
    @classmethod
    def _increasing(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if looks[0] < 1 or any(later <= earlier for earlier, later in pairwise(looks)):
            raise ValueError("looks are numbers of blocks, from 1, each more than the one before")
        return looks

    def up_to(self, blocks: int | None) -> "Method":
        """The same method with at most `blocks` blocks; null: as it is. Raises InputError when no look is left."""
        if blocks is None:
            return self
        looks = tuple(look for look in self.looks if look <= blocks)
        if not looks:
            raise InputError(f"{blocks} blocks are too few to decide", hint=f"--max-blocks {self.looks[0]} or more")
        return self.model_copy(update={"looks": looks})


class Arm(Record):
    """One of the states measured against each other."""

    name: str
    """base, expert, control, or patch-<first digits of its tree>."""
    tree: str
    """Git tree id of the arm's sources."""


class Sample(Record):
    """One execution of a workload on one arm, stamped from outside."""

    block: int
    """Number of the block, from 1."""
    position: int
    """Place in the randomised order of the block, from 0."""
    arm: str
    """Name of the arm."""
    workload: str
    """Name of the workload."""
    seed: int
    """Seed of the block: the same for all its arms, drawn when it began."""
    setup_s: float
    """Seconds from launch to the start signal."""
    seconds: float
    """Seconds from the start to the stop signal, plus `after_stop_s`: the measurement."""
    after_stop_s: float
    """Processor seconds used after the stop signal, charged to `seconds`."""
    cpu_s: float
    """User and system processor seconds of the whole process tree."""
    max_rss_bytes: int | None
    """Largest resident set of any one process of the tree, bytes; null where it could not be told."""
    output_sha256: str
    """SHA-256 of the outputs handed over before the stop signal."""
    reported: dict[str, float] = {}
    """Metrics the workload printed: a witness, in the units the task declares."""
    load1: float
    """One-minute load average of the host when the sample began."""


class Comparison(Record):
    """One arm against another on one metric: speedup above 1 means the first arm is better."""

    arm: str
    """The arm that is judged."""
    against: str
    """The arm it is compared with."""
    workload: str | None
    """The workload; null for all workloads of the task together (mean of log-ratios a block)."""
    metric: str
    """The metric, such as seconds."""
    blocks: int
    """Blocks used."""
    speedup: float
    """Hodges–Lehmann estimate of the ratio against/arm (or arm/against where higher is better)."""
    low: float | None
    """Lower end of the repeated confidence interval; null when this many blocks cannot bound it."""
    high: float | None
    """Upper end; null likewise."""
    bootstrap_low: float | None
    """2.5 % end of a plain bootstrap of the median, shown beside, not decisive."""
    bootstrap_high: float | None
    """97.5 % end."""
    decision: Speed
    """What the interval says by the method's rule."""


class Measurement(Record):
    """All samples of one task's judging and what they say. Patches of one task share base, expert and control."""

    arms: tuple[Arm, ...]
    """The arms measured."""
    samples: tuple[Sample, ...]
    """Every sample, warm-up left out."""
    comparisons: tuple[Comparison, ...]
    """Every comparison made of them, at the last look."""
    bias: float
    """Systematic A/A bias of this host: how far the control's interval stays away from 0, in log-ratio."""
    pinned_cpu: int | None
    """CPU the workloads were pinned to; null when not pinned."""
    wall_s: float
    """Seconds spent measuring."""
    stopped: Literal["decided", "max_blocks"]
    """Why measuring ended."""
    machine_shared: bool | None = None
    """Whether agents may have been at work on the machine meanwhile: somebody forced it; null: not known."""


class TestsReport(Record):
    """The results of the task's tests on one arm."""

    arm: str
    """Name of the arm."""
    results: dict[str, Literal["passed", "failed", "error", "skipped"]]
    """Result by test id (class::name as in the JUnit XML)."""
    seconds: float
    """Wall seconds of all test commands."""
    cached: bool = False
    """Whether it was taken from an earlier run of the same content."""


class Check(Record):
    """One named check of a patch."""

    name: str
    """Name of the check, such as applies, effect, tests, outputs, protected."""
    result: Literal["pass", "fail", "flag", "unknown"]
    """fail decides against the patch; flag needs a person's look; unknown could not be found out."""
    message: str
    """One sentence with the particulars."""
    evidence: tuple[Evidence, ...] = ()
    """Where it can be seen."""


class Verdict(Record):
    """What the evaluation concludes, field by field, and why."""

    correctness: Correctness
    """Whether the patch still computes the right thing."""
    speed: Speed
    """Relative to base, by the method's rule."""
    integrity: Integrity
    """clean: every integrity check passed; flagged: one asks for a look; unreviewed: none was made."""
    as_good_as_expert: bool | None
    """Whether the interval against the expert excludes being slower by more than the margin; null when not measured."""
    proven: bool
    """Correct, faster than base at the stated confidence, clean, on a task whose expert is faster."""
    reasons: tuple[str, ...]
    """Why, one sentence each, most decisive first."""


class Evaluation(Record):
    """evaluations/<digest>.json: added, never replaced."""

    format: Literal["speedproof/evaluation/1"] = "speedproof/evaluation/1"
    """Version of this record's schema."""
    digest: str
    """Name of its file: patch, task, method and a random part, so that judging again adds and never replaces."""
    evaluated_at: datetime
    """When it was concluded, UTC."""
    method: Method
    """The method applied."""
    declared: bool
    """Whether the run's manifest declared this very method beforehand; only then does it count."""
    task_digest: str
    """Digest of the task's content."""
    patch_sha256: str | None
    """SHA-256 of the patch judged; null when there was none."""
    arm: str | None
    """Name of the patch's arm in the measurement; null when it was not measured."""
    checks: tuple[Check, ...]
    """Every check made."""
    tests: tuple[TestsReport, ...]
    """Test results on base, expert and patch."""
    measurement: Measurement | None
    """The measurement; null when not measured."""
    seconds_by_stage: dict[str, float] = {}
    """Wall seconds spent on each stage of judging."""
    host: dict[str, Any] = {}
    """The machine it was measured on, as in the run's manifest."""
    diagnosis: Diagnosis | None = None
    """Why the task could not be judged, when it could not."""
    verdict: Verdict
    """The conclusion."""

    @model_validator(mode="after")
    def _unmeasured_is_said(self) -> "Evaluation":
        if self.measurement is None and self.verdict.speed != "not_measured":
            raise ValueError("a speed verdict needs a measurement")
        return self
