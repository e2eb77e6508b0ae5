"""Sides of a comparison: chosen by conditions and by evidence, never by a label alone."""

import pytest

from comparison_builder import entry, pool
from speedproof.analysis.collection import DIMENSIONS
from speedproof.analysis.comparison.sides import choose
from speedproof.errors import InputError


def chosen(*given: str, entries: tuple = ()) -> tuple[list[list[str]], dict[str, int]]:  # type: ignore[type-arg]
    sides, apart = choose(given, pool(*entries))
    return [[e.name for e in side.entries] for side in sides], {one.why: len(one.attempts) for one in apart}


def test_a_models_name_without_its_date_chooses_every_date_and_route_of_it() -> None:
    names = ("gpt-5", "gpt-5-2025-08-07", "openai/gpt-5", "gpt-4o", "gpt-5-codex")
    entries = tuple(entry("t", model=name) for name in names)
    sides, apart = chosen("model=gpt-5", "model=gpt-4o", entries=entries)
    assert sides == [[e.name for e in entries[:3]], [entries[3].name]]
    assert not apart


def test_a_name_with_a_date_chooses_that_release_and_what_tells_none_is_on_no_side() -> None:
    entries = (entry("t", model="gpt-5"), entry("t", model="gpt-5-2025-08-07"), entry("t", model="gpt-4o"))
    sides, apart = chosen("model=gpt-5-2025-08-07", "model=gpt-4o", entries=entries)
    assert sides == [[entries[1].name], [entries[2].name]]
    assert apart == {"the model is told without its release": 1}


def test_attempts_whose_model_only_a_label_names_or_nothing_are_on_no_side() -> None:
    entries = (
        entry("t", model="gpt-5"),
        entry("t", model="gpt-4o"),
        entry("t", model=None),
        entry("t", model="gpt-5", confidence="label"),
    )
    sides, apart = chosen("gpt-5", "gpt-4o", entries=entries)
    assert sides == [[entries[0].name], [entries[1].name]]
    assert apart == {"nothing names the model": 1, "only a label names the model": 1}


def test_what_another_condition_keeps_out_is_not_listed_as_unknown() -> None:
    entries = (entry("t", model="gpt-5"), entry("t", model="gpt-4o"), entry("t", model=None, agent="codex"))
    assert chosen("agent=trae,model=gpt-5", "agent=trae,model=gpt-4o", entries=entries)[1] == {}


def test_a_side_that_only_labels_fit_is_empty_and_no_error() -> None:
    entries = (entry("t", model="gpt-5"), entry("t", model="o4-mini", confidence="label"))
    assert chosen("model=gpt-5", "model=o4-mini", entries=entries)[0] == [[entries[0].name], []]


def test_values_are_alternatives_bounds_and_unknowns() -> None:
    entries = (entry("t", model="gpt-5", steps=5), entry("t", model="o3", steps=50), entry("t", model="o1", steps=None))
    sides, _ = chosen("model=gpt-5|o3,steps=>= 10", "steps=null", entries=entries)
    assert sides == [[entries[1].name], [entries[2].name]]


def test_a_bare_word_names_an_agent_a_model_a_run_or_an_archive() -> None:
    entries = (entry("t", run="first-run"), entry("t", run="second-run"))
    assert chosen("first", "second-run", entries=entries)[0] == [[entries[0].name], [entries[1].name]]
    agents = (entry("t", agent="trae"), entry("t", agent="codex"))
    assert chosen("codex", "trae", entries=agents)[0] == [[agents[1].name], [agents[0].name]]


@pytest.mark.skipif("config_sha256" not in DIMENSIONS, reason="digests are no dimensions yet")
def test_configurations_and_prompts_are_sides_by_the_beginning_of_their_digest() -> None:
    entries = (entry("t", config_sha256="1" * 64), entry("t", config_sha256="2" * 64), entry("t", config_sha256=None))
    sides, apart = chosen("config_sha256=1111", "config_sha256=2222", entries=entries)
    assert sides == [[entries[0].name], [entries[1].name]]
    assert apart == {"config_sha256 is not known": 1}
    prompts = (entry("t", prompt_template_sha256="1" * 64), entry("t", prompt_template_sha256="2" * 64))
    assert chosen("prompt_template_sha256=1", "prompt_template_sha256=2", entries=prompts)[0] == [
        [entries.name] for entries in prompts
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("model=gpt-5",), "2 to 26 sides"),
        (("model=gpt-5", "agent=trae"), "overlap"),
        (("model=gpt-5", "colour=red"), "no dimension is called 'colour'"),
        (("model=gpt-5", "model=gpt-6"), "no attempt fits 'model=gpt-6'"),
        (("model=gpt-5", "model="), "empty value"),
        (("model=gpt-5", ""), "nothing is called ''"),
        (("model=gpt-5", "model=gpt-5,model=gpt-4o"), "given twice"),
        (("model=gpt-5", "nobody"), "nothing is called 'nobody'"),
        (("model=gpt-5", "same"), "may mean several things"),
        (("model=gpt-5", "model=gpt-4o,agent=codex"), "no attempt fits"),
    ],
)
def test_what_cannot_be_a_side_is_refused_with_what_to_do(given: tuple[str, ...], says: str) -> None:
    entries = (
        entry("t", model="gpt-5", run="same-1"),
        entry("t", model="gpt-4o", run="same-2"),
        entry("t", model="o3", agent="codex"),
    )
    with pytest.raises(InputError, match=says) as refused:
        choose(given, pool(*entries))
    assert refused.value.hint
