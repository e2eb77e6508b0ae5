"""A claims file: what may stand in it, how precise a figure is meant, and where a mistake is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims_builder import claims_file
from speedproof.analysis.claims import load_claims
from speedproof.analysis.claims.conditions import NAMES, NUMBERS
from speedproof.analysis.claims.stated import half_a_digit, tolerance_of, within
from speedproof.analysis.collection import DIMENSIONS
from speedproof.errors import InputError

GOOD = "id: a, measure: runs, stated: 1"


@pytest.mark.parametrize(
    ("written", "half"),
    [("51.7", 0.05), ("300", 0.5), ("0.50", 0.005), ("1_397_096", 0.5), ("-9", 0.5), ("1.4e6", 50_000), ("0x1F", 0.5)],
)
def test_a_figure_may_be_off_by_half_of_its_last_digit_as_written(written: str, half: float, tmp_path: Path) -> None:
    assert half_a_digit(written) == pytest.approx(half)
    loaded = load_claims(claims_file(tmp_path, f"id: a, measure: input_tokens, stated: {written}"))
    assert loaded.statements[0].tolerance == pytest.approx(half)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9), st.data())
def test_what_rounds_to_a_figure_lies_within_its_precision(number: object, data: st.DataObject) -> None:
    digits = data.draw(st.integers(0, 3))
    rounded = f"{number:.{digits}f}"
    off = half_a_digit(rounded)
    assert off == pytest.approx(0.5 * 10**-digits)
    assert within(float(str(number)), float(rounded) - off, float(rounded) + off)


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_figures_and_tolerances(text: str) -> None:
    assert half_a_digit(text) > 0
    try:
        assert tolerance_of(text, 200.0) >= 0
    except ValueError as error:
        assert "share" in str(error)


def test_a_tolerance_is_a_number_or_a_share_of_the_figure(tmp_path: Path) -> None:
    for given_as, meant in (("20", 20), ("5 %", 10), ("0", 0), ("2.5%", 5)):
        loaded = load_claims(claims_file(tmp_path, f"id: a, measure: runs, stated: 200, tolerance: {given_as}"))
        assert loaded.statements[0].tolerance == pytest.approx(meant)


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ("id: A B, measure: runs", "id: String should match"),
        ("id: b, measure: rnus", "measure: no measure is called 'rnus'"),
        ("id: b, measure: runs, where: {colour: red}", "where: no dimension is called 'colour'"),
        ("id: b, measure: runs, where: {commit: 12345678}", "commit is a name: write '12345678' in quotes"),
        ("id: b, measure: runs, where: {wall_s: long}", "wall_s is a number, a bound"),
        ("id: b, measure: runs, stated: many", "stated: runs is a number: write 'many' as one"),
        ("id: b, measure: runs, stated: true", "stated: runs is a number"),
        ("id: b, measure: first_day, stated: 5", "stated: first_day is words"),
        ("id: b, measure: runs, stated: .inf", "stated: a stated figure is finite"),
        (f"id: b, measure: runs, stated: {'9' * 400}", "stated: a stated figure is finite"),
        ("id: b, measure: runs, stated: 5, tolerance: some", "tolerance: 'some' is neither"),
        ("id: b, measure: runs, stated: 5, tolerance: -1", "tolerance: it is a number from 0 on"),
        ("id: b, measure: runs, tolerance: 1", "tolerance: a tolerance needs a stated figure"),
        ("id: b, measure: runs, legacy: nothing", "legacy: no measure is called 'nothing'"),
        ("id: b, measure: runs, legacy: {measure: runs, where: {colour: red}}", "legacy: no dimension"),
        ("id: b, measure: runs, guess: 1", "guess: Extra inputs are not permitted"),
        ("id: a, measure: runs", "id: a claim above is called 'a' too"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_field(claim: str, says: str, tmp_path: Path) -> None:
    file = claims_file(tmp_path, GOOD, claim)
    with pytest.raises(InputError) as caught:
        load_claims(file)
    assert says in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(file), 4)


@pytest.mark.parametrize("text", ["", "- 1", "document: x\nclaims: []", "document: x", "a: [", "\x00", "claims: 5"])
def test_what_is_no_claims_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=r"claims\.yaml"):
        load_claims(file)


def test_a_file_that_is_no_list_of_statements_is_not_read_for_minutes(tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text("document: x\nclaims:\n" + "  - {id: a, text: t, measure: runs, stated: 1}\n" * 100_000)
    with pytest.raises(InputError, match="at most 4 MB"):
        load_claims(file)


def test_days_and_aliases_are_read_as_they_are_meant(tmp_path: Path) -> None:
    file = tmp_path / "claims.yaml"
    file.write_text(
        "document: x\nclaims:\n"
        "  - &first {id: a, text: said, measure: first_day, stated: 2025-09-19, where: {date: [2025-09-19]}}\n"
        "  - {<<: *first, id: b}\n"
    )
    for statement in load_claims(file).statements:
        assert statement.claim.stated == "2025-09-19"
        assert statement.claim.where == {"date": ["2025-09-19"]}


def test_every_dimension_that_is_known_to_hold_names_or_numbers_exists() -> None:
    assert DIMENSIONS.keys() >= NAMES | NUMBERS
