"""Price a draft: by the catalogue, or as the caller states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from orders.application.access import Caller, Operation, is_allowed
from orders.application.errors import PricesUnavailable, PriceUnknown, TaxChanged
from orders.application.ports import ListedPrice, PriceList
from orders.domain.errors import TotalChanged
from orders.domain.lines import DraftLine, TaxRounding, require_line_count, validate_rate
from orders.domain.money import exponent
from orders.domain.pricing import OrderDraft
from orders.domain.validation import OrderLimits, Shipping, validate_code, validate_sku

Listed = Mapping[str, int | ListedPrice]


class DraftPricer:
    """Sets the prices of a draft. Only a caller with `orders:price` may state its own."""

    def __init__(
        self, prices: PriceList, limits: OrderLimits, tax_rounding: TaxRounding = TaxRounding.LINE
    ) -> None:
        self._prices = prices
        self._limits = limits
        self._tax_rounding = tax_rounding

    async def __call__(self, draft: OrderDraft, caller: Caller) -> OrderDraft:
        """The draft with a price on every line, and with the rounding of tax for new orders.

        Raises:
            InvalidValue: If the currency, a SKU, a tax rate or the shipping method has no valid
                form.
            PriceUnknown: If the catalogue has no price for a SKU or the shipping method.
            TotalChanged: If a caller who may not state prices stated another one.
            TaxChanged: If the draft states another tax than the catalogue, by rate or included.
            PricesUnavailable: If the catalogue gave no valid answer in time.
        """
        exponent(draft.currency)
        if draft.tax_rounding is not self._tax_rounding:
            draft = replace(draft, tax_rounding=self._tax_rounding)
        trusted = is_allowed(caller, Operation.STATE_PRICES)
        if trusted and all(line.unit_price is not None for line in draft.lines):
            return draft
        # Before the catalogue is asked: it looks up no more lines than an order may have. A change
        # may add none.
        if draft.lines:
            require_line_count(draft.lines, self._limits)
        wanted = _skus(draft)
        method = _shipping_key(draft.shipping)
        if method is not None and not trusted:
            wanted.add(method)
        listed = await self._prices.prices(sorted(wanted), draft.currency) if wanted else {}
        return _priced_by(listed, draft, None if trusted else method, trusted=trusted)


def _priced_by(
    listed: Listed, draft: OrderDraft, method: str | None, *, trusted: bool
) -> OrderDraft:
    lines = tuple(
        _priced(line, index, listed, draft.currency, trusted=trusted)
        for index, line in enumerate(draft.lines)
    )
    used = {line.sku for line in draft.lines if not trusted or line.unit_price is None}
    if method is not None:
        used.add(method)
    included = _includes_tax(listed[each] for each in used if each in listed)
    if trusted:
        if included is None:
            return replace(draft, lines=lines)
    else:
        _refuse_stated(draft)
        draft = replace(draft, shipping=_priced_shipping(draft, method, listed))
    stated = draft.prices_include_tax
    if stated is not None and stated is not bool(included):
        raise TaxChanged("prices_include_tax")
    return replace(draft, lines=lines, prices_include_tax=included)


def _skus(draft: OrderDraft) -> set[str]:
    return {validate_sku(line.sku, f"lines/{index}/sku") for index, line in enumerate(draft.lines)}


def _shipping_key(shipping: Shipping | None) -> str | None:
    """The name of a shipping method in the catalogue."""
    if shipping is None or shipping.method is None:
        return None
    return f"shipping/{validate_code(shipping.method, 'shipping/method')}"


def _includes_tax(listed: Iterable[int | ListedPrice]) -> bool | None:
    """Whether listed prices include their tax; None if none has a rate."""
    kinds = {
        each.includes_tax
        for each in listed
        if isinstance(each, ListedPrice) and each.tax_rate is not None
    }
    if len(kinds) > 1:
        raise PricesUnavailable("the price list mixes prices with tax and without")
    return kinds.pop() if kinds else None


def _priced(
    line: DraftLine, index: int, listed: Listed, currency: str, *, trusted: bool
) -> DraftLine:
    if trusted and line.unit_price is not None:
        return line
    found = listed.get(line.sku)
    if found is None:
        raise PriceUnknown(line.sku, currency)
    price = _amount_of(found)
    if line.unit_price not in (None, price):
        raise TotalChanged(stated=line.unit_price or 0, actual=price)
    if trusted and (line.tax or line.tax_rate is not None):
        return replace(line, unit_price=price)
    rate = _listed_rate(line.tax_rate, found, f"lines/{index}/tax_rate")
    return replace(line, unit_price=price, tax_rate=rate)


def _refuse_stated(draft: OrderDraft) -> None:
    """Refuse discounts and taxes, which are prices too."""
    stated = draft.discount + sum(line.discount + line.tax for line in draft.lines)
    if draft.shipping is not None:
        stated += draft.shipping.tax
    if stated:
        raise TotalChanged(stated=stated, actual=0)


def _priced_shipping(draft: OrderDraft, method: str | None, listed: Listed) -> Shipping | None:
    if draft.shipping is None:
        return None
    found = 0 if method is None else listed.get(method)
    if found is None:
        raise PriceUnknown(method or "", draft.currency)
    price = _amount_of(found)
    if draft.shipping.price not in (0, price):
        raise TotalChanged(stated=draft.shipping.price, actual=price)
    rate = _listed_rate(draft.shipping.tax_rate, found, "shipping/tax_rate")
    return replace(draft.shipping, price=price, tax_rate=rate)


def _amount_of(listed: int | ListedPrice) -> int:
    return listed if isinstance(listed, int) else listed.amount


def _rate_of(listed: int | ListedPrice) -> str | None:
    return None if isinstance(listed, int) else listed.tax_rate


def _listed_rate(stated: str | None, listed: int | ListedPrice, field: str) -> str | None:
    """The rate of a listed price. A stated one must be the same."""
    rate = _rate_of(listed)
    if stated is not None and validate_rate(stated, field) != rate:
        raise TaxChanged(field)
    return rate
