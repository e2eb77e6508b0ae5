"""What the attempts left: patches, their sizes, and which are the same bytes."""

from collections.abc import Callable

from speedproof.analysis.collection import Collection, Entry
from speedproof.analysis.measures.counts import attempts
from speedproof.analysis.measures.measure import Value, count, count_where, measure, over, share


@measure("patches")
def patches(chosen: Collection) -> Value:
    """Attempts that left patch bytes."""
    return count_where(chosen, lambda e: bool(e.patched))


@measure("attempts")
def no_patch(chosen: Collection) -> Value:
    """Attempts that left no patch bytes: the file is empty or missing."""
    return count_where(chosen, lambda e: not e.patched)


@measure("%")
def no_patch_rate(chosen: Collection) -> Value:
    """Attempts that left no patch bytes, of all attempts."""
    return share(no_patch.of(chosen), attempts.of(chosen))


@measure("attempts")
def empty_patch_files(chosen: Collection) -> Value:
    """Attempts whose patch file is there and empty."""
    return count_where(chosen, lambda e: e.patched is False)


@measure("bytes")
def patch_bytes(chosen: Collection) -> Value:
    """Bytes of the patch files, summed."""
    return over(chosen, lambda e: e.attempt.patch.size if e.attempt.patch else None, sum)


@measure("patches")
def distinct_patches(chosen: Collection) -> Value:
    """Different patches: those of the same bytes count once."""
    found = [e for e in chosen.entries if e.patched]
    return Value(len({_bytes(e) for e in found}), tuple(found))


@measure("patches")
def patches_seen_before(chosen: Collection) -> Value:
    """Patches that are byte for byte the patch of an earlier attempt."""
    return _again(chosen, lambda _earlier, _later: True)


@measure("patches")
def patches_seen_at_another_commit(chosen: Collection) -> Value:
    """Patches that are byte for byte the patch of an earlier attempt at another commit."""
    return _again(chosen, lambda earlier, later: earlier.attempt.commit != later.attempt.commit)


@measure("patches")
def patches_with_own_file(chosen: Collection) -> Value:
    """Patches that hold the file model_patch.diff: themselves."""
    return count_where(chosen, lambda e: bool(e.attempt.patch and e.attempt.patch.own_file))


@measure("patches")
def patches_with_tests(chosen: Collection) -> Value:
    """Patches that change tests."""
    return count_where(chosen, lambda e: bool(e.attempt.patch and e.attempt.patch.tests))


def _bytes(entry: Entry) -> str:
    return entry.attempt.patch.sha256 if entry.attempt.patch else ""


def _again(chosen: Collection, counts: Callable[[Entry, Entry], bool]) -> Value:
    """Patches of which the same bytes were there before; `counts` says whether the first of them does."""
    whole = chosen.whole or chosen
    wanted = {e.name for e in chosen.entries}
    first: dict[str, list[Entry]] = {}
    found: list[Entry] = []
    for entry in whole.entries:
        if not entry.patched:
            continue
        before = first.setdefault(_bytes(entry), [])
        if entry.name in wanted and any(counts(earlier, entry) for earlier in before):
            found.append(entry)
        before.append(entry)
    return count(found)
