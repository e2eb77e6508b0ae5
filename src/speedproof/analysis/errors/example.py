"""One attempt of a group, with the place of its evidence in the archive."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from speedproof.analysis.collection import Entry
from speedproof.analysis.errors.records import Example
from speedproof.journal import Evidence


def example(entry: Entry, message: str, evidence: Sequence[Evidence], *, of_run: bool = False) -> Example:
    """An attempt as the example of its group: evidence is told by its place in the archive.

    `of_run`: the places are relative to the run's folder already, not to the attempt's.
    """
    folder = PurePosixPath("" if of_run else entry.attempt.folder)
    return Example(
        attempt=entry.name,
        archive=entry.attempt.archive,
        message=message,
        evidence=tuple(each.model_copy(update={"file": str(folder / each.file)}) for each in evidence),
    )
