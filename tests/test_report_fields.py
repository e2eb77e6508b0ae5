"""docs/record.md lists every field of every record as the code documents it."""

from pathlib import Path

import pytest

from speedproof.errors import InputError
from speedproof.report.fields import BEGIN, END, tables, update

PAGE = Path(__file__).parents[1] / "docs" / "record.md"


def test_the_page_holds_the_tables_of_today() -> None:
    inside = PAGE.read_text().split(BEGIN)[1].split(END)[0]
    assert inside.strip() == tables(), "run the command in src/speedproof/report/fields.py"


def test_every_field_has_a_meaning() -> None:
    lines = [line for line in tables().splitlines() if line.startswith("| `")]
    assert len(lines) > 150
    assert not [line for line in lines if line.endswith("|  |")]


def test_update_writes_between_its_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    update(page)
    assert page.read_text() == f"before\n{BEGIN}\n\n{tables()}\n\n{END}\nafter\n"


def test_update_refuses_a_page_without_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(InputError, match="marks"):
        update(page)
