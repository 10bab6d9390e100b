"""Price a draft: by the catalogue, or as the caller states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from orders.application.access import Caller, Operation, is_allowed
from orders.application.errors import PriceUnknown
from orders.application.ports import PriceList
from orders.domain.errors import TotalChanged
from orders.domain.lines import DraftLine, require_line_count
from orders.domain.money import exponent
from orders.domain.pricing import OrderDraft
from orders.domain.validation import OrderLimits, Shipping, validate_code, validate_sku


class DraftPricer:
    """Sets the prices of a draft. Only a caller with `orders:price` may state its own."""

    def __init__(self, prices: PriceList, limits: OrderLimits) -> None:
        self._prices = prices
        self._limits = limits

    async def __call__(self, draft: OrderDraft, caller: Caller) -> OrderDraft:
        """The draft with a price on every line.

        Raises:
            InvalidValue: If the currency, a SKU or the shipping method has no valid form.
            PriceUnknown: If the catalogue has no price for a SKU or the shipping method.
            TotalChanged: If a caller who may not state prices stated another one.
            PricesUnavailable: If the catalogue gave no answer in time.
        """
        exponent(draft.currency)
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
        lines = tuple(
            _priced(line, listed, draft.currency, trusted=trusted) for line in draft.lines
        )
        if trusted:
            return replace(draft, lines=lines)
        _refuse_stated(draft)
        return replace(draft, lines=lines, shipping=_priced_shipping(draft, method, listed))


def _skus(draft: OrderDraft) -> set[str]:
    return {validate_sku(line.sku, f"lines/{index}/sku") for index, line in enumerate(draft.lines)}


def _shipping_key(shipping: Shipping | None) -> str | None:
    """The name of a shipping method in the catalogue."""
    if shipping is None or shipping.method is None:
        return None
    return f"shipping/{validate_code(shipping.method, 'shipping/method')}"


def _priced(
    line: DraftLine, listed: Mapping[str, int], currency: str, *, trusted: bool
) -> DraftLine:
    if trusted and line.unit_price is not None:
        return line
    price = listed.get(line.sku)
    if price is None:
        raise PriceUnknown(line.sku, currency)
    if line.unit_price not in (None, price):
        raise TotalChanged(stated=line.unit_price or 0, actual=price)
    return replace(line, unit_price=price)


def _refuse_stated(draft: OrderDraft) -> None:
    """Refuse discounts and taxes, which are prices too."""
    stated = draft.discount + sum(line.discount + line.tax for line in draft.lines)
    if stated:
        raise TotalChanged(stated=stated, actual=0)


def _priced_shipping(
    draft: OrderDraft, method: str | None, listed: Mapping[str, int]
) -> Shipping | None:
    if draft.shipping is None:
        return None
    price = 0 if method is None else listed.get(method)
    if price is None:
        raise PriceUnknown(method or "", draft.currency)
    if draft.shipping.price not in (0, price):
        raise TotalChanged(stated=draft.shipping.price, actual=price)
    return replace(draft.shipping, price=price)
