"""The part of a page that a program writes, between two marks; around it people write."""

from pathlib import Path

from speedproof.errors import InputError


def between(page: Path, begin: str, end: str) -> str:
    """What stands between the marks. Raises InputError unless each is there once, in this order."""
    return _parts(page, begin, end)[1]


def put_between(page: Path, begin: str, end: str, content: str) -> str:
    """Put the content between the marks; the page's new text. Raises InputError as `between` does."""
    before, _, after = _parts(page, begin, end)
    text = f"{before}{begin}\n\n{content}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
    return text


def _parts(page: Path, begin: str, end: str) -> tuple[str, str, str]:
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    inside, found, after = rest.partition(end)
    if not found or text.count(begin) != 1 or text.count(end) != 1:
        raise InputError("the marks of the generated part are missing", file=page, hint=f"once each: {begin} and {end}")
    return before, inside, after
