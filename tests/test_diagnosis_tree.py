"""The failure tree as people read it."""

from pathlib import Path

import pytest

from speedproof.diagnosis.tree import BEGIN, END, MEANINGS, drawing, failure_tree, refresh
from speedproof.errors import InputError
from speedproof.journal import FailureClass as F
from speedproof.journal.failure import ELSEWHERE

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


def test_nobody_is_sent_to_us_for_an_attempt_that_another_harness_made() -> None:
    for failure in F:
        step = failure.next_step(own=False)
        assert step.endswith(".")
        assert "bug of Speedproof" not in step and "limits." not in step and "speedproof doctor" not in step
        assert not (failure in ELSEWHERE and step == failure.info.next)
    assert "bug of Speedproof" in F.DEFECT.next_step(own=True)
    assert F.DEFECT.next_step(own=False) in failure_tree()


def test_refreshing_a_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert refresh(page) == page.read_text() == f"before\n{BEGIN}\n\n{failure_tree()}\n\n{END}\nafter\n"
    page.write_text("nothing here")
    with pytest.raises(InputError, match="marks"):
        refresh(page)
