"""A small archive about which statements are made: four attempts, of which one was refused and one could not start."""

from pathlib import Path

import typer
from click.testing import Result
from typer.testing import CliRunner

from archive_builder import NO_OUTPUT, PATCH, imported, journal, put, trajectory, usage
from speedproof.analysis.claims import Checks, check_claims, load_claims
from speedproof.analysis.collection import Collection, collect
from speedproof.cli import claims, measures

CONFIG = "Error: Config file not found. Please specify a valid config file in the command\n"


def at(hour: int) -> dict[str, float]:
    return {"written": 1_760_437_412.5 + 3_600 * hour}


def small_archive(root: Path, state: Path) -> Collection:
    """Import it; its folder is called their-runs, and has the runs one and two."""
    runs = root / "their-runs" / "state" / "runs"
    good = trajectory(usage(1_000, 50, 400), usage(2_000, 80, 1_500))
    refused = trajectory(usage(1_000, 50), error=NO_OUTPUT)
    put(runs / "one" / "item-1", journal__json=journal(), model_patch__diff=PATCH, trajectory__json=good)
    put(
        runs / "one" / "item-2",
        journal__json=journal(code=1, timestamps=at(1)),
        model_patch__diff="",
        trajectory__json=refused,
        trae_stdout__txt=f"Retrying after error: {NO_OUTPUT}\n" * 3,
    )
    put(
        runs / "one" / "item-3",
        journal__json=journal("error", 1, timestamps=at(2)),
        model_patch__diff="",
        trae_stdout__txt=CONFIG,
    )
    other = {"commits": {"pre": "c" * 40, "human": "d" * 40}, "timestamps": at(3)}
    put(runs / "two" / "item-1", journal__json=journal(**other), model_patch__diff=PATCH, trajectory__json=good)
    imported(root / "their-runs", state)
    return collect([], state)


def claims_file(folder: Path, *claims: str, about: str = "") -> Path:
    """A claims file of claims written as flow mappings, each on a line of its own from line 3 on."""
    file = folder / "claims.yaml"
    lines = [f"document: a report{about}", "claims:", *(f"  - {{text: said, {claim}}}" for claim in claims)]
    file.write_text("\n".join(lines) + "\n")
    return file


def checked(collection: Collection, folder: Path, *claims: str) -> Checks:
    return check_claims(load_claims(claims_file(folder, *claims)), collection)


def command(*words: object) -> Result:
    """`speedproof claims` or `speedproof measures`, as one calls it."""
    app = typer.Typer()
    app.add_typer(claims.app, name="claims")
    app.command("measures")(measures.measures)
    return CliRunner().invoke(app, [str(word) for word in words])
