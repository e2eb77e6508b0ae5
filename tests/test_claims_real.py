"""The published analysis of 30 runs, claim by claim: each verdict, and each of our figures, as the data have it.

Nothing of the runs is in the repository: skipped where they are not.
"""

from pathlib import Path

import pytest

from claims_builder import command
from speedproof.analysis.claims import Checked, Checks, check_claims, load_claims
from speedproof.analysis.collection import collect
from speedproof.archives import import_archive

ROOT = Path(__file__).parents[1]
THIRTY = ROOT.parent / "shared" / "archives" / "thirty-runs"
FILE = ROOT / "examples" / "claims" / "thirty-runs.yaml"
real = pytest.mark.skipif(not THIRTY.is_dir(), reason="the real archive is not here")

TRUE: dict[str, float | str | None] = {
    # runs, attempts, commits; status; files
    "runs": 30, "attempts": 300, "commits": 96,
    "status.success": 134, "status.success-rate": 44.7, "status.error": 166,
    "journals": 300, "patch-files": 296, "log-files": 296,
    # patches
    "patches.empty-summary": 52.3, "patches.empty-section": 52.3, "patches.empty": 157, "patches.empty-files": 153,
    "patches.tiny": 0, "patches.small": 2, "patches.medium": 123, "patches.large": 18, "patches.small-share": 0.7,
    "patches.medium-share": 41.0, "patches.large-share": 6.0, "patches.empty-successes": 1,
    # durations
    "duration.mean": 1388.2, "duration.mean-all": 720.0, "duration.median": 302.6, "duration.median-successes": 1358.8,
    "duration.median-errors": 1.9, "duration.shortest": 0.084, "duration.longest": 2712.25,
    # tokens and cost: $85.37 leaves out a record that cannot be
    "tokens.input": 216_836_625, "tokens.output": 2_490_068, "tokens.cached": 204_665_600, "tokens.known": 158,
    "cost": 85.37, "cost.as-told": 85.38, "cost.gpt-5": 61.65, "cost.gpt-4o": 23.73, "cost.flat": 2243.07,
    "cost.known": 158, "cost.likely": 85.37,
    # refused calls
    "refused.calls": 83, "refused.each": 0.28, "refused.attempts": 83, "refused.fatal": 77, "refused.other-model": 6,
    "refused.runs": 8,
    # errors
    "errors.silent": 162, "errors.silent-rate": 97.6, "errors.told": 4, "errors.hopeless": 0, "errors.explained": 162,
    "errors.direct": 129, "errors.inferred": 33,
    # return codes
    "codes.zero": 110, "codes.one": 180, "codes.none": 4, "codes.killed": 5, "codes.terminated": 1, "codes.success": 65,
    # commits
    "commits.several": 80, "commits.retried": 47, "commits.concurrent": 33, "commits.solved": 92,
    "commits.solved-rate": 95.8, "commits.latest": 90, "commits.exit-and-patch": 46, "commits.confirmed": 21,
    "8aa1485f.attempts": 21, "8aa1485f.successes": 12, "8aa1485f.final": "error",
    "8aa1485f.sequence": "7 error, 12 success, 2 error", "8aa1485f.first": "vllm_core-e615cb42/vllm_core-0000",
    "8aa1485f.before": 16, "8aa1485f.successes-until": 9,
    "0d243f2a.sequence": "7 error, 1 success", "19d98e0c.sequence": "7 error, 1 success",
    "21d93c14.sequence": "7 error, 1 success", "22d33bac.sequence": "7 error, 1 success",
    "22dd9c27.sequence": "7 error, 1 success", "0ec82edd.sequence": "2 success, 2 error",
    # runs by size
    "sizes.single": 22, "sizes.single-listed": 22, "sizes.small": 2, "sizes.medium": 5, "sizes.large": 1,
    # run 4be69dfd: three of its patches have bytes, items 0003, 0004 and 0005; the other four files are empty
    "4be69dfd.items": 7, "4be69dfd.successes": 0, "4be69dfd.failures": 7, "4be69dfd.failures-listed": 7,
    "4be69dfd.start-up": 0, "4be69dfd.shortest": 145.6, "4be69dfd.longest": 1845.4, "4be69dfd.patches": 3,
    "4be69dfd.patched-errors": 3, "84ca0ad4.start-up": 43, "8e54a51a.start-up": 31,
    "a40b2039.items": 49, "a40b2039.successes": 31, "a40b2039.rate": 63.3, "9641716f.items": 60,
    "9641716f.successes": 56,
    # batches against single runs
    "batches.worst": 0, "batches.best": 93.3, "batches.attempts": 278, "batches.successes": 119,
    "singles.rate": 68.2, "singles.attempts": 22, "singles.successes": 15,
    # single attempts; the largest step is wrong in 146 logs that say 9, and in one more that says 99 for 115
    "3368ff88.steps": 40, "steps.wrong": 147, "steps.wrong-nine": 146,
    "34aabdf0.origin": "vllm_core-73442e7b/vllm_core-0000", "34aabdf0.age": 7.9, "34aabdf0.duration": 1.57,
    "0511ee90.day": "2025-10-08", "39bd9d7d.day": "2025-10-08", "49197c86.day": "2025-10-08",
    "0511ee90.epoch": 1_759_910_083.709, "39bd9d7d.epoch": 1_759_910_127.694, "49197c86.epoch": 1_759_919_732.494,
    "0015.commit": "310aca88c984983189a57f1b72e3b1dde89fb92f", "0015.status": "success", "0015.exit-code": 0,
    "0015.patch": 9356, "0015.own-word": 0, "0015.steps": 61, "0015.input": 2_585_584, "0015.output": 18_938,
    "0015.cost": 0.73,
    # patches, and success by stricter rules
    "patches": 143, "patches.distinct": 127, "patches.seen": 16, "patches.elsewhere": 2,
    "rules.exit-and-patch": 74, "rules.exit-and-patch-recorded": 68, "rules.exit-and-patch-errors": 6,
    "rules.confirmed": 36, "rules.confirmed-recorded": 32,
    "configuration": None, "configuration.sent": None,
}  # fmt: skip
"""Claim → the true figure, to as many digits as are given."""

REPRODUCED = {
    "journals", "patches.empty-summary", "patches.empty-section", "patches.medium-share", "patches.large-share",
    "patches.empty-successes", "duration.longest", "tokens.input", "tokens.output", "cost", "refused.calls",
    "refused.each", "errors.hopeless", "codes.zero", "commits.retried", "8aa1485f.final", "8aa1485f.first",
    "8aa1485f.before", "4be69dfd.items", "a40b2039.items", "3368ff88.steps", "0015.cost",
}  # fmt: skip
"""Claims whose wrong figure a known way to count gives."""

NOT_REPRODUCED = {f"{commit}.sequence" for commit in ("0d243f2a", "19d98e0c", "21d93c14", "22d33bac", "22dd9c27")}
"""Claims for which a way was tried that gives something else."""

HOLDS = {
    "runs", "attempts", "commits", "status.success", "status.success-rate", "status.error", "patch-files", "log-files",
    "patches.empty", "patches.tiny", "patches.small", "patches.medium", "patches.large", "patches.small-share",
    "duration.shortest", "errors.silent", "errors.silent-rate", "errors.told", "commits.several", "commits.solved",
    "commits.solved-rate", "8aa1485f.attempts", "0ec82edd.sequence", "sizes.single", "sizes.small", "sizes.medium",
    "sizes.large", "34aabdf0.duration", "0511ee90.epoch", "39bd9d7d.epoch", "49197c86.epoch", "0015.steps",
    "0015.input", "0015.output",
}  # fmt: skip


def digits(figure: float) -> float:
    """Half of the last digit of a true figure."""
    return 0.5 * 10.0 ** -len(str(figure).partition(".")[2]) if isinstance(figure, float) else 0


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("real")
    import_archive(THIRTY, state)
    return state


@pytest.fixture(scope="module")
def checks(state: Path) -> Checks:
    return check_claims(load_claims(FILE), collect(["thirty-runs"], state))


@pytest.fixture(scope="module")
def claims(checks: Checks) -> dict[str, Checked]:
    return {one.id: one for one in checks.claims}


def test_the_example_can_be_read_and_every_claim_of_it_is_known_here() -> None:
    assert {s.claim.id for s in load_claims(FILE).statements} == TRUE.keys()


@real
def test_every_true_figure_is_right(claims: dict[str, Checked]) -> None:
    for name, true in TRUE.items():
        ours = claims[name].derived.value
        if isinstance(true, int | float):
            assert ours == pytest.approx(true, abs=digits(true) + 1e-9), name
        else:
            assert ours == true, name


@real
def test_the_verdicts_are_those_of_the_table(checks: Checks, claims: dict[str, Checked]) -> None:
    assert {one.id for one in checks.of("holds")} == HOLDS
    assert [one.id for one in checks.of("cannot be known")] == ["configuration"]
    stated = {name for name, one in claims.items() if one.stated is not None}
    assert {one.id for one in checks.of("fails")} == stated - HOLDS - {"configuration"}


@real
def test_every_stated_figure_that_a_known_way_gives_is_explained(checks: Checks) -> None:
    tried = [one for one in checks.of("fails") if one.explained is not None]
    assert {one.id for one in tried if one.explained and one.explained.reproduces} == REPRODUCED
    assert {one.id for one in tried if one.explained and not one.explained.reproduces} == NOT_REPRODUCED


@real
def test_the_analysis_is_found_to_contradict_itself(checks: Checks) -> None:
    found = {frozenset(one.claims) for one in checks.contradictions}
    listed = [
        {"patches.empty-summary", "patches.empty-section"},
        {"4be69dfd.items", "a40b2039.items", "sizes.large"},
        {"sizes.single", "sizes.single-listed"},
        {"4be69dfd.failures", "4be69dfd.failures-listed"},
    ]
    unlisted = [
        {"patches.empty-successes", "status.success"},
        {"0015.input", "tokens.input"},
        {"0015.cost", "cost"},
        {"cost", "cost.likely"},
        {"patches.empty-summary", "patches.empty", "attempts"},
        {"patches.empty-section", "patches.empty", "attempts"},
    ]
    assert found == {frozenset(one) for one in (*listed, *unlisted)}


@real
def test_the_command_prints_the_explanations(state: Path) -> None:
    result = command("claims", "check", FILE, "--state", state)
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    for sentence in (
        "1,741 calls is what text_matches gives: a log repeats one failed call in every retry, traceback and box",
        "1,397,096 tokens is what first_line_input_tokens gives: the first running total of a log is that of the first",
        "$18.93 is what first_line_flat_price gives",
        "9 steps is what steps_as_text gives: compared as text, 9 is more than 40",
        "no configuration that was imported shows it",
        "2 runs are described with 60 attempts (4be69dfd.items) and 96 attempts (a40b2039.items)",
    ):
        assert sentence in shown, sentence
