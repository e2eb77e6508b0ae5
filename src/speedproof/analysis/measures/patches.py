"""What the attempts left: patches, their sizes, and which are the same bytes."""

from collections.abc import Callable

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import attempts
from speedproof.analysis.measures.measure import (
    Value,
    count,
    count_groups,
    count_where,
    measure,
    share,
    summed,
    the_one,
)


@measure("patches")
def patches(chosen: Collection) -> Value:
    """Attempts that left patch bytes."""
    return count_where(chosen, _left)


@measure("attempts")
def no_patch(chosen: Collection) -> Value:
    """Attempts that left no patch bytes: the file is empty or missing."""
    return count_where(chosen, lambda e: not _left(e))


@measure("%")
def no_patch_rate(chosen: Collection) -> Value:
    """Attempts that left no patch bytes, of all attempts."""
    return share(no_patch.of(chosen), attempts.of(chosen))


@measure("attempts")
def empty_patch_files(chosen: Collection) -> Value:
    """Attempts whose patch file is there and empty."""
    return count_where(chosen, lambda e: e.attempt.patch_status == "empty")


@measure("text")
def patch_kind(chosen: Collection) -> Value:
    """What kind of patch there is by our rules, where all attempts have the same."""
    return the_one(chosen, lambda e: e.attempt.patch_status)


@measure("bytes")
def patch_bytes(chosen: Collection) -> Value:
    """Bytes of the patch files, summed."""
    return summed(chosen, lambda e: e.attempt.patch.size if e.attempt.patch else None)


@measure("patches")
def distinct_patches(chosen: Collection) -> Value:
    """Different patches: those of the same bytes count once."""
    found: dict[str, list[Entry]] = {}
    for entry in chosen.entries:
        if (key := _bytes(entry)) is not None:
            found.setdefault(key, []).append(entry)
    return count_groups(found.values(), (e for e in chosen.entries if _left(e) and _bytes(e) is None))


@measure("patches")
def patches_seen_before(chosen: Collection) -> Value:
    """Patches that are byte for byte the patch of an earlier attempt."""
    return count_where(chosen, lambda e: bool(chosen.history.same_patch(e)))


@measure("patches")
def patches_seen_at_another_commit(chosen: Collection) -> Value:
    """Patches that are byte for byte the patch of an earlier attempt at another commit."""
    same = chosen.history.same_patch
    return count(e for e in chosen.entries if any(_other(e.attempt.commit, one.attempt.commit) for one in same(e)))


@measure("text")
def patch_origin(chosen: Collection) -> Value:
    """The first attempt of another run that had left the same bytes as a patch before, where all have the same one."""
    return _of_origins(chosen, lambda origin, _later: origin.name)


@measure("h")
def patch_age(chosen: Collection) -> Value:
    """Hours since the first attempt of another run left the same bytes as a patch, where all attempts have the same."""
    return _of_origins(chosen, _hours)


@measure("patches")
def patches_with_own_file(chosen: Collection) -> Value:
    """Patches that hold the file model_patch.diff: themselves."""
    return count_where(chosen, lambda e: bool(e.attempt.patch and e.attempt.patch.own_file))


@measure("patches")
def patches_with_tests(chosen: Collection) -> Value:
    """Patches that change tests."""
    return count_where(chosen, lambda e: bool(e.attempt.patch and e.attempt.patch.tests))


def _left(entry: Entry) -> bool:
    return entry.attempt.patch_status not in ("missing", "empty")


def _other(one: str | None, another: str | None) -> bool:
    return one is not None and another is not None and one != another


def _hours(earlier: Entry, later: Entry) -> float | None:
    return None if earlier.at is None or later.at is None else (later.at - earlier.at).total_seconds() / 3600


def _bytes(entry: Entry) -> str | None:
    return entry.attempt.patch.sha256 if entry.attempt.patch and entry.patched else None


def _of_origins(chosen: Collection, shows: Callable[[Entry, Entry], float | str | None]) -> Value:
    same = chosen.history.same_patch

    def of(later: Entry) -> float | str | None:
        origin = next((e for e in same(later) if e.attempt.run != later.attempt.run), None)
        return None if origin is None else shows(origin, later)

    return the_one(chosen, of)
