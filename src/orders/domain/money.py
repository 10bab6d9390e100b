"""Money: whole minor units of an ISO 4217 currency, never a float.

Inside one order every amount is an `int` of minor units, because an order has one currency.
`Money` is used where currencies may differ: prices, and reports of the payment service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orders.domain.errors import CurrencyMismatch, CurrencyUnknown, InvalidValue

AMOUNT_LIMIT = 2**53
"""Amounts are below this, so that every JSON reader keeps them exact (RFC 8259, 6)."""

_BY_EXPONENT = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN"
        " BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD"
        " FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW"
        " KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR"
        " MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG"
        " SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD"
        " USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENTS: Mapping[str, int] = MappingProxyType(
    {code: exponent for exponent, codes in _BY_EXPONENT.items() for code in codes.split()}
)
"""Decimal digits of the minor unit, by currency code (ISO 4217:2015, list one).

Codes without a minor unit (gold, test codes, XXX) are left out: nothing has a price in them.
"""


def exponent(currency: str) -> int:
    """The digits after the decimal point of a currency.

    Raises:
        CurrencyUnknown: If it is not an ISO 4217 code in capitals.
    """
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        raise CurrencyUnknown from None


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of one currency. May be negative.

    Raises:
        CurrencyUnknown: If the currency is not an ISO 4217 code.
        InvalidValue: If the amount is not a whole number of minor units below 2**53.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if type(self.minor) is not int or abs(self.minor) >= AMOUNT_LIMIT:
            raise InvalidValue("amount", "must be a whole number of minor units below 2**53")

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, units: int) -> Money:
        return Money(self.minor * units, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __str__(self) -> str:
        digits = exponent(self.currency)
        sign, whole = ("-" if self.minor < 0 else ""), abs(self.minor)
        if not digits:
            return f"{sign}{whole} {self.currency}"
        units, rest = divmod(whole, 10**digits)
        return f"{sign}{units}.{rest:0{digits}d} {self.currency}"

    def allocate(self, weights: Sequence[int]) -> tuple[Money, ...]:
        """Split into shares that add up to exactly this amount. See `allocate`."""
        return tuple(Money(share, self.currency) for share in allocate(self.minor, weights))

    def _same(self, other: Money) -> int:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{other.currency} cannot be combined with {self.currency}")
        return other.minor


def allocate(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Split an amount in proportion to weights; the shares add up to exactly the amount.

    What rounding leaves goes to the shares with the largest remainders (Hamilton's method), and
    to the earlier one if they are equal. If all weights are 0, the shares are equal.

    Raises:
        InvalidValue: If there is no weight, or one is negative.
    """
    if not weights or min(weights) < 0:
        raise InvalidValue("weights", "must be one or more numbers, none below 0")
    if not any(weights):
        weights = [1] * len(weights)
    total = sum(weights)
    size, sign = abs(amount), (-1 if amount < 0 else 1)
    shares, remainders = zip(*(divmod(size * weight, total) for weight in weights), strict=True)
    left = size - sum(shares)
    first = sorted(range(len(weights)), key=lambda index: (-remainders[index], index))[:left]
    extra = frozenset(first)
    return tuple(sign * (share + (index in extra)) for index, share in enumerate(shares))


def share_of_units(amount: int, *, units: int, of: int) -> int:
    """The part of an amount that is on the first `units` of `of` equal units.

    The part on any later units is a difference of two of these, so all parts always add up to
    exactly the amount.
    """
    if not amount:
        return 0
    each, left = divmod(amount, of)
    return each * units + min(units, left)
