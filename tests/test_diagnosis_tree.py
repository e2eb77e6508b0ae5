"""The failure tree as people read it, and the names under which equal failures are counted."""

from pathlib import Path

import pytest

from speedproof.diagnosis import fingerprint
from speedproof.diagnosis.tree import BEGIN, END, MEANINGS, drawing, failure_tree, refresh
from speedproof.journal import Diagnosis
from speedproof.journal import FailureClass as F

PAGE = Path(__file__).parents[1] / "docs" / "diagnosis.md"


def test_the_page_on_diagnosis_shows_the_tree_as_it_is() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == failure_tree(), "run speedproof.diagnosis.tree.refresh(Path('docs/diagnosis.md'))"


def test_every_class_says_what_it_means_whose_fault_it_is_and_what_to_do() -> None:
    assert set(MEANINGS) == set(F)
    for failure in F:
        assert failure.fault in {"infrastructure", "model", "agent", "task"}
        assert failure.info.next.endswith(".")
        assert MEANINGS[failure].endswith(".")
        assert f"`{failure.value}`" in failure_tree()
        assert f"─ {failure.value.rsplit('/', 1)[-1]}" in drawing()


def test_refreshing_a_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert refresh(page) == page.read_text() == f"before\n{BEGIN}\n{failure_tree()}\n{END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="no marks"):
        refresh(page)


def named(message: str, failure: F = F.TOOL_OUTPUT_MISSING) -> str:
    return fingerprint(Diagnosis(failure=failure, message=message, stage="run", confidence="direct", evidence=()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No tool output found for function call call_aZ9.", "No tool output found for function call call_Qq77."),
        ("HTTP 429: retry in 3.5 s (the last 10 calls failed)", "HTTP 429: retry in 17 s (the last 2 calls failed)"),
        ("cannot open /home/a/x.yaml: denied", "cannot open /srv/other/y.toml: denied"),
        ("error sending request for url (https://a.example/v1)", "error sending request for url (http://127.0.0.1:80/v1/x)"),
        ("limit resets at 11:04 PM", "limit resets at 9:10 AM"),
        ("failed at 2026-01-02T03:04:05Z in 0x7ffde0", "failed at 2025-11-12 13:14:15,123 in 0x1234abcd"),
        ("request 9a10e6bb69e3ad28 refused", "request 123e4567-e89b-12d3-a456-426614174000 refused"),
    ],
)  # fmt: skip
def test_the_same_failure_has_the_same_fingerprint_whatever_its_particulars(one: str, other: str) -> None:
    assert named(one) == named(other)


def test_different_failures_have_different_fingerprints() -> None:
    assert named("No module named 'click'") != named("No module named 'torch'")
    assert named("it broke", F.AGENT_CRASH) != named("it broke", F.DEFECT)
    assert named("added a face and a decade") == "agent/protocol/tool_output_missing: added a face and a decade"
