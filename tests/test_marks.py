"""Pages of which a program writes one part, between two marks."""

from pathlib import Path

import pytest

from speedproof.errors import InputError
from speedproof.marks import between, put_between

BEGIN, END = "<!-- numbers -->", "<!-- end of numbers -->"


def test_what_people_wrote_around_the_marks_stays_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Größe\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    text = put_between(page, BEGIN, END, "| 1 |")
    assert text == page.read_text(encoding="utf-8") == f"Größe\n{BEGIN}\n\n| 1 |\n\n{END}\nafter\n"
    assert between(page, BEGIN, END) == "\n\n| 1 |\n\n"
    assert put_between(page, BEGIN, END, "| 1 |") == text


@pytest.mark.parametrize(
    "text",
    ["nothing", BEGIN, END, f"{END} {BEGIN}", f"{BEGIN} {END} {BEGIN} {END}", f"{BEGIN} {BEGIN} {END}"],
    ids=["no marks", "no end", "no beginning", "the end first", "two parts", "two beginnings"],
)
def test_a_page_without_one_part_is_refused_and_stays_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(InputError, match=r"page\.md: the marks of the generated part are missing"):
        put_between(page, BEGIN, END, "new")
    with pytest.raises(InputError, match=BEGIN):
        between(page, BEGIN, END)
    assert page.read_text() == text
