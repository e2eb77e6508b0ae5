"""The tables of what the catalog was made of: sources, runs, their settings, what was wrong with their files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from speedproof.analysis.catalog.contents import Contents, Kept, Source, Trouble
from speedproof.analysis.catalog.table import Column, SqlType, Table, fields
from speedproof.archives.store import ArchiveStore
from speedproof.journal import RunManifest
from speedproof.journal.foreign_parts import SettingSeen


@dataclass(frozen=True)
class Ran:
    """One run, of an archive or our own."""

    archive: str
    run: str
    attempts: list[Kept]
    manifest: RunManifest | None

    def at(self, which: Callable[[list[datetime]], datetime]) -> datetime | None:
        """The first or last time of its attempts."""
        times = [kept.entry.at for kept in self.attempts if kept.entry.at is not None]
        return which(times) if times else None


def _runs(contents: Contents) -> Iterator[Ran]:
    found: dict[tuple[str, str], list[Kept]] = {(own, own): [] for own in contents.manifests}
    for kept in contents.attempts:
        found.setdefault((kept.entry.attempt.archive, kept.entry.attempt.run), []).append(kept)
    for (archive, run), members in found.items():
        yield Ran(archive, run, members, contents.manifests.get(archive))


@dataclass(frozen=True)
class Setting:
    """One place at which a file of an archive shows a setting."""

    archive: str
    attempt: str | None
    seen: SettingSeen


def _settings(contents: Contents) -> Iterator[Setting]:
    names = {(k.entry.attempt.archive, k.entry.attempt.id): k.entry.name for k in contents.attempts}
    for source in contents.sources:
        if isinstance(source.store, ArchiveStore):
            for seen in source.store.settings():
                yield Setting(source.store.id, names.get((source.store.id, seen.attempt or "")), seen)


def _problems(contents: Contents) -> Iterator[Trouble]:
    for source in contents.sources:
        if isinstance(source.store, ArchiveStore):
            yield from (Trouble(source.store.id, p.path, p.what, p.why, p.files) for p in source.store.problems())
    yield from contents.troubles


def _sources(contents: Contents) -> Iterator[tuple[Source, datetime]]:
    yield from ((source, contents.read_at) for source in contents.sources)


SOURCES = Table[tuple[Source, datetime]](
    "sources",
    "What the catalog was built from.",
    (
        Column("id", SqlType.TEXT, "Id of the archive or run.", lambda s: s[0].store.id),
        Column("kind", SqlType.TEXT, "archive: imported; run: our own.", lambda s: s[0].kind),
        Column("path", SqlType.TEXT, "The folder that was imported, or the run's.", lambda s: s[0].path),
        Column("attempts", SqlType.WHOLE, "Attempts in it, counted or not.", lambda s: s[0].attempts),
        Column("built_at", SqlType.TIME, "When its files were read for the catalog.", lambda s: s[1]),
        Column(
            "fingerprint",
            SqlType.TEXT,
            "Digest of the sizes and times of its files then, and of the program that read them.",
            lambda s: s[0].fingerprint,
        ),
    ),
    _sources,
)

RUNS = Table[Ran](
    "runs",
    "Every run of every archive, and our own, also those without an attempt yet.",
    (
        Column("archive", SqlType.TEXT, "Id of the source.", lambda r: r.archive),
        Column("run", SqlType.TEXT, "The run, as in `attempts.run`.", lambda r: r.run),
        Column("attempts", SqlType.WHOLE, "Attempts in it, counted or not.", lambda r: len(r.attempts)),
        Column("counted", SqlType.WHOLE, "Those that count.", lambda r: sum(kept.apart is None for kept in r.attempts)),
        Column("first_at", SqlType.TIME, "When the first of its attempts was concluded.", lambda r: r.at(min)),
        Column("last_at", SqlType.TIME, "When the last was.", lambda r: r.at(max)),
        Column(
            "planned",
            SqlType.WHOLE,
            "Items that it was to do; null for archives, which do not say.",
            lambda r: None if r.manifest is None else len(r.manifest.items),
        ),
        *fields(RunManifest, lambda r: r.manifest, without=("format", "id")),
    ),
    _runs,
)

SETTINGS = Table[Setting](
    "settings",
    "Each place at which a file of an archive shows a setting: places may contradict each other. Those of our own "
    "attempts are in `calls`.",
    (
        Column("archive", SqlType.TEXT, "Id of the archive.", lambda s: s.archive),
        Column(
            "attempt",
            SqlType.TEXT,
            "Name of the attempt whose folder or record holds it; null when it belongs to none or several.",
            lambda s: s.attempt,
        ),
        *fields(SettingSeen, lambda s: s.seen, without=("attempt",)),
    ),
    _settings,
)

PROBLEMS = Table[Trouble](
    "problems",
    "Files that were not read whole, and values that a column cannot hold.",
    (
        Column(
            "archive", SqlType.TEXT, "Id of the source; null for a value that a column cannot hold.", lambda t: t.source
        ),
        Column("path", SqlType.TEXT, "The file, relative to the source; or the attempt and column.", lambda t: t.path),
        Column(
            "what",
            SqlType.TEXT,
            "skipped: nothing was taken from it; broken: it could not be read; damaged: it was read as far as it goes; "
            "unfit: the column has null instead.",
            lambda t: t.what,
        ),
        Column("why", SqlType.TEXT, "Why, and where.", lambda t: t.why),
        Column(
            "files",
            SqlType.WHOLE,
            "How many files it stands for: of very many in one folder, the last one stands for the rest.",
            lambda t: t.files,
        ),
    ),
    _problems,
)
