"""Looking for one of many words in a file's bytes, in one pass at the speed of memory, and counting its lines."""

from pydantic import ValidationError
from pydantic_core import SchemaValidator, core_schema


class AnyOf:
    """A search for whether any of some shapes may stand in bytes: ten times as fast as looking for each.

    The engine in pydantic can only tell whether, not where, and reads nothing but UTF-8.
    """

    def __init__(self, pattern: str) -> None:
        self._search = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))

    def may_stand_in(self, data: bytes) -> bool:
        """False when `data` is UTF-8 and none of the shapes stands in it."""
        if data.isascii():
            return self._search.isinstance_python(data)
        try:
            self._search.validate_python(data)
        except ValidationError as error:
            told = error.errors(include_url=False, include_context=False, include_input=False)[0]
            return told["type"] != "string_pattern_mismatch"
        return True


class Lines:
    """Line numbers in one file's bytes, each counted from the nearest place that is known: readers ask many times."""

    def __init__(self) -> None:
        self._data, self._begin, self._before = b"", 0, 0

    def before(self, data: bytes, begin: int, whole: int | None = None) -> int:
        """Newlines before a byte; `whole`: how many there are in all, where that is known."""
        known = [(0, 0)]
        if whole is not None:
            known.append((len(data), whole))
        if data is self._data:
            known.append((self._begin, self._before))
        near, count = min(known, key=lambda each: abs(each[0] - begin))
        low, high = min(near, begin), max(near, begin)
        count += data.count(b"\n", low, high) * (1 if begin >= near else -1)
        self._data, self._begin, self._before = data, begin, count
        return count


LINES = Lines()
"""Of the file that is being read."""
