"""Conversion between integers of any size and decimal digits, in less than quadratic time.

Python refuses `int(text)` and `str(number)` beyond 4,300 digits because they take quadratic time. A
stored value may have 800,000 digits, which would take half a minute. Converting halves recursively
takes half a second.
"""

import decimal
from decimal import Decimal

_PLAIN_DIGITS = 640  # the lowest limit that sys.set_int_max_str_digits accepts
_PLAIN_BITS = 2_048

_EXACT = decimal.Context(
    prec=decimal.MAX_PREC,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.Inexact, decimal.Overflow],
)


def parse_integer(digits: str) -> int:
    """Parses decimal digits, optionally with a leading minus."""
    if digits.startswith("-"):
        return -parse_integer(digits[1:])
    if len(digits) <= _PLAIN_DIGITS:
        return int(digits)
    half = len(digits) // 2
    shift: int = 10**half
    return parse_integer(digits[:-half]) * shift + parse_integer(digits[-half:])


def integer_digits(number: int) -> str:
    """Returns `number` in decimal digits, as in JSON."""
    if number.bit_length() <= _PLAIN_BITS:
        return int.__repr__(number)
    sign = "-" if number < 0 else ""
    with decimal.localcontext(_EXACT):
        return sign + str(_as_decimal(abs(number), number.bit_length()))


def _as_decimal(number: int, bits: int) -> Decimal:
    if bits <= _PLAIN_BITS:
        return Decimal(number)
    half = bits // 2
    low = number & ((1 << half) - 1)
    return _as_decimal(number >> half, bits - half) * Decimal(2) ** half + _as_decimal(low, half)
