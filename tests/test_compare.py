"""Two sides or more against each other: what is paired, what is left out, and what may be concluded."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from archive_builder import HUMAN, PATCH, journal, put, trajectory, usage
from comparison_builder import entry, pool, side_by_side
from record_builder import demo_run
from speedproof.analysis.collection import Collection, collect
from speedproof.analysis.comparison import Comparison, compare
from speedproof.analysis.comparison.comparison import Pair
from speedproof.analysis.comparison.conclusions import Conclusion
from speedproof.analysis.comparison.confounds import Confound
from speedproof.analysis.comparison.outcomes import Outcome
from speedproof.analysis.comparison.statistics import pairs_needed
from speedproof.archives import import_archive
from speedproof.cli.compare import compare as compare_command
from speedproof.journal import FailureClass as F
from speedproof.report.comparison import comparison_markdown

SHARED = Path(__file__).parents[2] / "shared" / "archives"
COMMAND = typer.Typer()
COMMAND.command()(compare_command)
MODELS = ("model=gpt-4o", "model=gpt-5")


def pair_of(pool: Collection, *given: str) -> Pair:
    (pair,) = compare(given or MODELS, pool).pairs
    return pair


def outcome(pair: Pair, rule: str = "strict", *, everything: bool = False) -> Outcome:
    found = next(one for one in pair.rules if one.rule == rule)
    return found.everything if everything else found.counted


def concluded(pair: Pair, rule: str = "strict") -> Conclusion:
    return next(one for one in pair.conclusions if one.rule == rule)


def confound(pair: Pair, name: str) -> Confound:
    return next(one for one in pair.confounds if one.name == name)


def test_tasks_are_paired_and_each_cell_names_them() -> None:
    pair = pair_of(side_by_side([(True, True), (True, False), (False, True), (False, True), (False, False)]))
    found = outcome(pair)
    tasks = [f"{n:040x}" for n in range(5)]
    assert (found.both, found.only_a, found.only_b, found.neither) == (
        (tasks[0],),
        (tasks[1],),
        (tasks[2], tasks[3]),
        (tasks[4],),
    )
    assert found.pairs == 5
    assert found.rate_a is not None
    assert found.rate_b is not None
    assert found.difference is not None
    assert (found.rate_a.value, found.rate_b.value) == (0.4, 0.6)
    assert found.difference.value == pytest.approx(-0.2)
    assert found.p == 1.0
    assert found.agreement == 0.4


def test_swapping_the_sides_turns_every_difference_round() -> None:
    data = side_by_side([(n % 3 == 0, n % 2 == 0) for n in range(24)])
    one, other = outcome(pair_of(data)), outcome(pair_of(data, *reversed(MODELS)))
    assert (one.only_a, one.p, one.kappa) == (other.only_b, other.p, other.kappa)
    for a, b in ((one.difference, other.difference), (one.all_attempts, other.all_attempts)):
        assert a is not None
        assert b is not None
        assert a.low is not None
        assert a.high is not None
        assert (a.value, a.low, a.high) == pytest.approx((-b.value, -(b.high or 0), -(b.low or 0)))


def test_the_first_attempt_by_time_stands_for_a_task_and_all_of_them_for_the_interval() -> None:
    entries = [entry("t", model="gpt-4o", ok=ok, hours=h) for ok, h in ((True, 2), (False, 1), (True, 3))]
    found = outcome(pair_of(pool(*entries, entry("t", ok=False))))
    assert found.neither == ("t",)
    assert found.all_attempts is not None
    assert found.all_attempts.value == pytest.approx(2 / 3)


def test_infrastructure_is_left_out_by_class_and_shown_with_everything_counted() -> None:
    broken = entry("t", model="gpt-4o", failure=F.LOGIN_EXPIRED, hours=0)
    data = pool(broken, entry("t", model="gpt-4o", ok=True, hours=1), entry("t", ok=True))
    comparison = compare(MODELS, data)
    (pair,) = comparison.pairs
    assert comparison.sides[0].left_out == {"model/auth/login_expired": (broken.name,)}
    assert outcome(pair).both == ("t",)
    assert outcome(pair, everything=True).only_b == ("t",)
    rate = comparison.sides[0].rates[2]
    assert (rate.counted.known, rate.everything.known) == (1, 2)


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({"failure": F.BAD_REQUEST}, True),
        ({"failure": F.TOOL_ARGS_MALFORMED}, True),
        ({"failure": F.CONFIG_MISSING}, False),
        ({"failure": F.QUOTA_EXHAUSTED}, False),
        ({"failure": F.INTERRUPTED, "run_status": "cancelled"}, False),
        ({"failure": F.DEFECT, "run_status": "completed"}, True),
    ],
)
def test_what_says_something_of_skill_counts(more: dict[str, object], counts: bool) -> None:
    data = pool(entry("t", model="gpt-4o", **more), entry("t"))  # type: ignore[arg-type]
    assert outcome(pair_of(data)).pairs == int(counts)


def test_a_judged_patch_counts_as_proven_however_its_process_ended() -> None:
    data = pool(entry("t", model="gpt-4o", failure=F.NETWORK, proven=True), entry("t", proven=False))
    pair = pair_of(data)
    assert outcome(pair, "proven").only_a == ("t",)
    assert outcome(pair).pairs == 0
    failed = pool(entry("t", model="gpt-4o", failure=F.NETWORK, proven=False), entry("t", proven=False))
    assert outcome(pair_of(failed), "proven").neither == ("t",)


def test_tasks_that_one_side_tried_are_shown_apart() -> None:
    data = pool(entry("t", model="gpt-4o"), entry("t"), entry("u", ok=True), entry("v"), entry(None))
    comparison = compare(MODELS, data)
    (pair,) = comparison.pairs
    strict = next(rule for rule in pair.rules if rule.rule == "strict")
    assert (pair.only_a_tried, pair.only_b_tried) == ((), ("u", "v"))
    assert (strict.unpaired_b_tasks, strict.unpaired_b.known, len(strict.unpaired_b.reached)) == (2, 2, 1)
    assert len(comparison.sides[1].without_task) == 1


def test_all_spending_counts_towards_a_success_and_unknown_cost_is_counted() -> None:
    entries = [entry("t", model="gpt-4o", ok=n == 0, usd=2.0, failure=F.NETWORK if n else None) for n in range(3)]
    data = pool(
        *entries, entry("t", model="gpt-4o", usd=None, tokens=None), entry("t", usd=5.0, ok=True), entry("u", usd=5.0)
    )
    comparison = compare(MODELS, data)
    a, b = (side.spending for side in comparison.sides)
    assert (a.usd, len(a.unknown)) == (6.0, 1)
    assert a.per_success[0].usd is not None
    assert b.per_success[0].usd is not None
    assert (a.per_success[0].usd.value, b.per_success[0].usd.value) == (6.0, 10.0)
    assert a.per_success[1].usd is None  # nothing is proven
    assert comparison.pairs[0].successes[0].ratio is not None
    assert comparison.pairs[0].successes[0].ratio.value == pytest.approx(0.6)
    assert (comparison.pairs[0].successes[0].cost_unknown_a, comparison.pairs[0].successes[0].cost_unknown_b) == (1, 0)
    text = comparison_markdown(comparison)
    assert "≥ &#36;6.00" in text
    assert "cost unknown: 1 of A" in text


def test_efforts_are_ratios_at_the_same_tasks() -> None:
    found = []
    for n in range(12):
        found += [entry(f"{n}", model="gpt-4o", tokens=100 * (n + 1)), entry(f"{n}", tokens=200 * (n + 1) + n)]
    comparison = compare(MODELS, pool(*found, entry("alone", tokens=10**9)))
    tokens = comparison.pairs[0].efforts[0]
    assert tokens.ratio is not None
    assert tokens.ratio.low is not None
    assert tokens.ratio.high is not None
    assert len(tokens.tasks) == 12
    assert 0.48 < tokens.ratio.low <= tokens.ratio.value <= tokens.ratio.high <= 0.5
    median = comparison.sides[0].efforts[0].median
    assert median is not None
    assert (median.low, median.value, median.high) == (300, 650, 1000)


def test_a_clear_difference_in_one_run_is_put_down_to_what_is_compared() -> None:
    found = concluded(pair_of(side_by_side([(False, True)] * 14 + [(True, True)] * 3)))
    assert (found.higher, found.confidence, found.attributable, found.why) == ("B", 0.999, True, ())
    assert "By strict, B succeeded more often than A, at 99.9 % confidence: on 17 tasks that both tried" in found.says
    assert "put down to model" in found.says


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"run": "two"}, "other things differ: run (14 of 14 pairs)"),
        ({"prompt_sha256": "e" * 64}, "other things differ: prompt_sha256 (14 of 14 pairs)"),
        ({"config_sha256": None}, "other things are unknown: config_sha256"),
        ({"agent": "codex"}, "other things differ: agent (14 of 14 pairs)"),
        ({"budget_s": 60.0}, "other things differ: budget_s (14 of 14 pairs)"),
    ],
)
def test_what_confounds_a_difference_is_named(more: dict[str, object], named: str) -> None:
    found = []
    for n in range(14):
        found += [entry(f"{n}", model="gpt-4o"), entry(f"{n}", ok=True, **more)]  # type: ignore[arg-type]
    one = concluded(pair_of(pool(*found)))
    assert (one.higher, one.attributable) == ("B", False)
    assert named in one.why
    assert "Whether that is due to model, the data cannot tell" in one.says
    assert any("in one run, with one prompt and one configuration" in step for step in one.settle)


def test_what_is_the_same_in_some_pairs_and_unknown_in_others_is_no_reason_to_conclude() -> None:
    found = []
    for n in range(14):
        known = "c" * 64 if n < 3 else None
        found += [
            entry(f"{n}", model="gpt-4o", config_sha256=known),
            entry(f"{n}", ok=True, config_sha256=known),
        ]
    pair = pair_of(pool(*found))
    assert confound(pair, "config_sha256").state == "same"
    assert concluded(pair).why == ("other things are unknown in part: config_sha256 (11 of 14 pairs)",)
    assert not concluded(pair).attributable


def test_sides_chosen_by_what_came_out_are_not_put_down_to_anything() -> None:
    data = side_by_side([(False, True)] * 14)
    found = concluded(pair_of(data, "strict=true", "strict=false"))
    assert (found.higher, found.attributable) == ("A", False)
    assert "sides are chosen by what came out, not by what went in: strict" in found.why


def test_impossible_durations_and_counts_are_no_figures() -> None:
    odd = entry("t", model="gpt-4o", wall_s=1e308, steps=10**400, began=None)
    pair = pair_of(pool(odd, entry("t", wall_s=float("nan"), began=None)))
    assert confound(pair, "time").pairs_unknown == 1
    assert {one.what: one.tasks for one in pair.efforts} == {
        "tokens": ("t",),
        "wall_s": (),
        "steps": (),
        "cost_usd": ("t",),
    }


def test_an_own_task_meets_foreign_attempts_at_its_commit_if_no_other_task_is_made_of_it() -> None:
    one, two = "1" * 40, "2" * 40
    own = [
        entry(one, ok=True, own="r/a/01", task="only"),
        entry(None, own="s/a/01", task="only"),  # its suite is gone: nobody knows the commit
        entry(two, own="r/b/01", task="fast"),
        entry(two, own="r/c/01", task="small"),
    ]
    pair = pair_of(pool(*own, entry(one, model="gpt-4o"), entry(two, model="gpt-4o")))
    assert {task.task: len(task.b) for task in pair.tasks} == {one: 2}
    assert pair.only_b_tried == ("fast", "small")


def test_attempts_at_other_times_confound_unless_they_are_of_one_run() -> None:
    found = []
    for n in range(8):
        found += [entry(f"{n}", model="gpt-4o"), entry(f"{n}", ok=True, hours=100)]
    pair = pair_of(pool(*found))
    assert (confound(pair, "time").state, confound(pair, "run").state) == ("differs", "same")
    assert concluded(pair).attributable
    elsewhere = pair_of(
        pool(*(e if n % 2 else entry(f"{n // 2}", model="gpt-4o", run="x") for n, e in enumerate(found)))
    )
    assert "other things differ: run (8 of 8 pairs); time (8 of 8 pairs)" in concluded(elsewhere).why


def test_attempts_on_no_side_keep_a_difference_from_being_put_down_to_the_model() -> None:
    data = side_by_side([(False, True)] * 10)
    more = pool(*data.entries, entry("t", model=None), entry("t", model=None, failure=F.CONFIG_MISSING))
    comparison = compare(MODELS, more)
    (apart,) = comparison.on_no_side
    assert (apart.why, len(apart.attempts), len(apart.would_count)) == ("nothing names the model", 2, 1)
    found = concluded(comparison.pairs[0])
    assert (found.higher, found.attributable) == ("B", False)
    assert any(why.startswith("2 attempts may belong to either side (nothing names the model); 1") for why in found.why)


def test_too_few_pairs_cannot_tell_and_say_how_many_would() -> None:
    found = concluded(pair_of(side_by_side([(False, True)] * 2 + [(True, True)] * 6)))
    assert (found.higher, found.confidence) == (None, None)
    assert found.says.startswith("By strict, the data cannot tell whether A or B succeeds more often: on 8 tasks")
    assert found.why == ("the outcomes of 2 of 8 pairs differ; fewer than 6 never tell",)
    assert found.pairs_needed == 29
    assert "about 29 paired tasks" in found.settle[0]


def test_what_nobody_judged_cannot_be_told() -> None:
    found = concluded(pair_of(side_by_side([(True, False)] * 3)), "proven")
    assert "nobody judged these patches" in found.says
    assert found.settle[0].startswith("judge the patches")


def test_three_sides_are_compared_two_by_two_with_holms_correction() -> None:
    found = []
    for n in range(9):
        found += [entry(f"{n}", agent=agent, ok=agent != "trae") for agent in ("trae", "codex", "claude")]
    comparison = compare(("trae", "codex", "claude"), pool(*found))
    assert [(p.a, p.b) for p in comparison.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    first, last = outcome(comparison.pairs[0]), outcome(comparison.pairs[2])
    assert first.p == pytest.approx(2 / 2**9)
    assert first.p_holm == pytest.approx(6 / 2**9)
    assert last.p_holm == 1
    assert confound(comparison.pairs[0], "agent").state == "compared"
    assert concluded(comparison.pairs[0]).higher == "B"
    few = [entry(f"{n}", agent=a, ok=a != "trae" and n < 3) for n in range(9) for a in ("trae", "codex", "claude")]
    one, two = pool(*(e for e in few if e.attempt.agent.value != "claude")), pool(*few)
    assert concluded(pair_of(one, "trae", "codex")).pairs_needed == pairs_needed(1 / 3, 1 / 3)
    assert concluded(compare(("trae", "codex", "claude"), two).pairs[0]).pairs_needed == pairs_needed(
        1 / 3, 1 / 3, 0.05 / 3
    )


def test_own_runs_are_compared_by_task_and_controls_count_nowhere(tmp_path: Path) -> None:
    run = demo_run(tmp_path / "state")
    comparison = compare(("codex", "mini-swe-agent"), collect([run.id], tmp_path / "state"))
    (pair,) = comparison.pairs
    assert {task.task for task in pair.tasks} == {"sortedlib-merge", "packaging-versions", "tomli-loads"}
    assert outcome(pair, "proven").only_a == ("sortedlib-merge",)
    assert confound(pair, "run").state == "same"
    assert not any("patch" in name for side in comparison.sides for name in side.where["agent"])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for n, (model, ok) in enumerate(
        [("gpt-4o-2024-08-06", False), ("gpt-5-2025-08-07", True), ("gpt-5-2025-08-07", True)]
    ):
        commit = HUMAN if n < 2 else "c" * 40
        told = trajectory(usage(100, 10), usage(50, 5), success=ok)
        told |= {"model": model}
        for each in told["llm_interactions"]:
            each["response"]["model"] = model
        put(
            tmp_path / "old" / "state" / "runs" / f"run\x1b[31m-{n}" / "core-0000",
            journal__json=journal(commits={"pre": "b" * 40, "human": commit}, timestamps={"written": 1.76e9 + n}),
            model_patch__diff=PATCH,
            prompt__md="make it | fast",
            trajectory__json=told,
        )
    import_archive(tmp_path / "old", tmp_path / "state")
    return tmp_path / "state"


def command(state: Path, *words: str) -> str:
    result = CliRunner().invoke(COMMAND, [*words, "--state", str(state)])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_shows_sides_pairs_confounds_and_conclusions(state: Path) -> None:
    output = command(state, "gpt-4o", "model=gpt-5")
    assert "1 task that both tried" in output
    assert "what else differs" in output
    assert "the data cannot tell whether A or B succeeds more often" in " ".join(output.split())
    assert "\x1b" not in output


def test_the_same_is_printed_as_markdown_and_as_a_record(state: Path) -> None:
    text = command(state, "gpt-4o", "gpt-5", "--markdown")
    assert text.startswith("# Comparison\n")
    assert "\x1b" not in text
    record = Comparison.model_validate(json.loads(command(state, "gpt-4o", "gpt-5", "--json")))
    assert comparison_markdown(record) == text
    assert [len(side.attempts) for side in record.sides] == [1, 2]
    assert record.sides[0].attempts[0].startswith("run\x1b")


def test_only_what_is_named_by_in_is_looked_at(state: Path) -> None:
    demo_run(state)
    archive = next((state / "archives").iterdir()).name
    everywhere = json.loads(command(state, "gpt-5", "gpt-4o", "--json"))
    there = json.loads(command(state, "gpt-5", "gpt-4o", "--in", archive, "--json"))
    assert len(everywhere["sides"][0]["attempts"]) > len(there["sides"][0]["attempts"]) == 2
    assert there["archives"] == [archive]


@pytest.mark.skipif(not (SHARED / "thirty-runs").is_dir(), reason="the real archives are not here")
def test_gpt_4o_against_gpt_5_on_the_thirty_runs_says_what_can_be_concluded(tmp_path: Path) -> None:
    import_archive(SHARED / "thirty-runs", tmp_path)
    comparison = compare(MODELS, collect([], tmp_path))
    a, b = comparison.sides
    assert (len(a.attempts), len(b.attempts)) == (18, 168)
    (apart,) = comparison.on_no_side
    assert (apart.why, len(apart.attempts)) == ("nothing names the model", 114)
    (pair,) = comparison.pairs
    assert (len(pair.tasks), outcome(pair).pairs) == (9, 6)
    assert (confound(pair, "run").state, confound(pair, "time").state) == ("differs", "differs")
    assert not any(one.attributable for one in pair.conclusions)
    assert [one.higher for one in pair.conclusions] == ["B", None, None, None, None]  # only by what was recorded
    assert all(any(why.startswith("other things differ: run") for why in one.why) for one in pair.conclusions)
    assert a.spending.usd is not None
    assert b.spending.usd == pytest.approx(61.65, abs=0.005)
    said = comparison_markdown(comparison)
    assert (
        said.count("the data cannot tell whether A or B succeeds more often") == 2
    )  # rules that say the same say it once
    assert "By exit_and_patch, strict and confirmed, the data cannot tell" in said
