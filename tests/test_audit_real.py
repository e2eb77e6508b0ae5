"""What the rules find, unaided, in two real archives. Nothing of them is in the repository: skipped without them."""

import json
import re
import time
from pathlib import Path

import pytest

from archive_builder import imported
from speedproof.analysis.audit import Audit, Audited, audit
from speedproof.analysis.collection import collect
from speedproof.archives.store import ArchiveStore

SHARED = Path(__file__).parents[2] / "shared" / "archives"
SAMPLE, THIRTY = SHARED / "sample", SHARED / "thirty-runs"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir() or not THIRTY.is_dir(), reason="the real archives are not here")


class Found:
    """An audit by rule."""

    def __init__(self, root: Path, state: Path) -> None:
        self.store: ArchiveStore = imported(root, state).store
        self.root = root
        begin = time.process_time()
        self.audit: Audit = audit(collect((), state), state)
        self.seconds = time.process_time() - begin

    def __getitem__(self, rule: str) -> Audited:
        return next(each for each in self.audit.rules if each.rule == rule)

    def messages(self, rule: str) -> dict[str, str]:
        """The attempt most concerned → what is said of it."""
        return {each.attempts[0]: each.message for each in self[rule].findings if each.attempts}


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(THIRTY, tmp_path_factory.mktemp("thirty"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(SAMPLE, tmp_path_factory.mktemp("sample"))


def test_the_expected_figures_of_the_thirty_runs_are_found(thirty: Found) -> None:
    expected = json.loads((THIRTY / "expected.json").read_text())
    counts = {
        "success-nonzero-exit": expected["success_rc_nonzero"],
        "success-empty-patch": expected["success_empty_patch"],
        "failure-without-error": expected["null_error_of_errors"],
        "patch-identical": 16,
        "patch-identical-other-commit": 2,
        "usage-impossible": 1,
        "failure-finished-patch": expected["cause_error_status"]["finished_uncommitted"],
        "tokens-not-recorded": 158,
    }
    assert {rule: thirty[rule].count for rule in counts} == counts
    assert thirty["success-nonzero-exit"].count == 65
    assert thirty["success-agent-failed"].count == 82
    # 134 recorded, 32 of which the agent itself confirms
    assert thirty["success-with-cause"].count == 134 - expected["strict+traj_success"]


def test_the_stale_folder_is_found_with_how_long_after_whom(thirty: Found) -> None:
    said = thirty.messages("stale-workspace")
    stale = next(message for name, message in said.items() if "34aabdf0" in name)
    assert "recorded as success" in stale and "no step in 1.57 s" in stale
    assert "byte for byte that of vllm_core-73442e7b/vllm_core-0000, 7.9 h later" in stale
    assert any("34aabdf0" in name for name in thirty.messages("success-no-step"))
    assert sum("made for commit 2deb029d, not 015069b0" in message for message in said.values()) == 2


def test_two_runs_at_the_same_49_items_at_once_are_found(thirty: Found) -> None:
    said = [each.message for each in thirty["concurrent-runs"].findings]
    assert any(re.match(r"vllm_core-a40b2039 and vllm_core-beffe4cd worked on the same 49 items", m) for m in said), (
        said
    )


def test_the_contradicting_claims_on_parallel_tool_calls_are_found(thirty: Found) -> None:
    (found,) = thirty["setting-claims-disagree"].findings
    assert found.message.startswith("parallel_tool_calls: claimed")
    assert "parallel_tool_calls" in thirty["setting-unconfirmed"].findings[0].message


def test_the_wrong_names_in_the_sample_are_found(sample: Found) -> None:
    (typo,) = sample["repository-label-typo"].findings
    assert typo.message.startswith("filed under 'sglan': 7 attempts; their files speak of 'sglang'")
    assert all("/codex/gpt-4o/" in name for name in sample.messages("agent-label-wrong"))
    assert sample["agent-label-wrong"].count == 2
    models = sample.messages("model-label-wrong").values()
    assert len(models) >= 20 and all("'gpt-5" in message for message in models)


def test_zero_output_successes_and_leaks_in_the_sample_are_found(sample: Found) -> None:
    (name, said), *rest = sample.messages("success-no-output").items()
    assert not rest and name.endswith("sglang_052_ac971ff6") and "Token has expired" in said
    assert sample["expert-hash-shown"].count > 20
    assert sample["expert-message-shown"].count > 50
    assert sample["expert-diff-shown"].count > 50
    assert sample["attempt-twice"].count == 2
    assert sample["journal-missing"].count == 8
    assert {each.message.partition(":")[0].rpartition("/")[2] for each in sample["record-broken"].findings} == {
        "journal.json",
        "diff_targets.json",
    }


def test_every_place_is_there_and_shows_what_it_says(thirty: Found, sample: Found) -> None:
    for found in (thirty, sample):
        for rule in found.audit.found:
            for finding in rule.findings:
                assert finding.evidence, finding
                for spot in finding.evidence:
                    file = found.root / spot.file
                    assert file.exists(), (rule.rule, spot)
                    if spot.line is not None:
                        assert 1 <= spot.line <= file.read_bytes().count(b"\n") + 1


def test_no_secret_is_repeated_in_an_audit(thirty: Found, sample: Found) -> None:
    assert thirty["secret-in-log"].count == 0 and sample["secret-in-log"].count == 3
    for found in (thirty, sample):
        assert not re.search(r"sk-[A-Za-z0-9_-]{8}", found.audit.model_dump_json())


def test_an_audit_takes_no_time_worth_mentioning(thirty: Found, sample: Found) -> None:
    per_attempt = (thirty.seconds + sample.seconds) / (thirty.audit.attempts + sample.audit.attempts)
    assert per_attempt * 2_000 < 2.0
