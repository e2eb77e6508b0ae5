"""A stated figure: how far from it a value may lie, so that the statement still holds."""

import re
import sys
from decimal import Decimal, InvalidOperation

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_SLACK = 1e-9


def finite(value: float) -> bool:
    """Whether it is a number that floating point holds; whole numbers may be larger than that."""
    return abs(value) <= sys.float_info.max


def half_a_digit(written: str) -> float:
    """Half of the last digit as written: 0.05 for 51.7, 0.5 for 300; 0.5 where the text is no decimal number."""
    try:
        exponent = Decimal(written.replace("_", "")).as_tuple().exponent
    except InvalidOperation:
        return 0.5
    return 0.5 * 10.0 ** max(-300, min(exponent, 300)) if isinstance(exponent, int) else 0.5


def tolerance_of(given: float | str, stated: float) -> float:
    """A tolerance as given: a number of the measure's unit, or a share of the stated figure, such as 5 %.

    Raises ValueError when it is neither, or negative.
    """
    if isinstance(given, str):
        share = _SHARE.fullmatch(given.strip())
        if share is None:
            raise ValueError(f"{given!r} is neither a number nor a share such as '5 %'")
        return abs(stated) * float(share[1]) / 100
    if not finite(given) or given < 0:
        raise ValueError("it is a number from 0 on")
    return given


def within(value: float, low: float, high: float) -> bool:
    """Whether a value lies between the ends, with what floating point loses."""
    slack = _SLACK * max(1.0, abs(low), abs(high))
    return low - slack <= value <= high + slack


def apart(low: float, high: float, other_low: float, other_high: float) -> bool:
    """Whether two spans have nothing in common."""
    return not (within(max(low, other_low), low, high) and within(max(low, other_low), other_low, other_high))
