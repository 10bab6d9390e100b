"""What callers send: JSON bodies, and the domain values they mean.

Only shapes are checked here; bounds and patterns are the domain's, so that importing services
and this API refuse the same things. Amounts are minor units of the order's currency.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType, field

from orders.application.place_order import InitialPayment
from orders.application.propose_change import ProposedChange
from orders.domain.errors import InvalidValue
from orders.domain.lines import DraftLine, Items
from orders.domain.order_changes import ShippingChange
from orders.domain.payments import PaymentTerms, TermsKind
from orders.domain.pricing import Confirmation, OrderDraft
from orders.entrypoints.http.schemas.body import FEW, Body, stated
from orders.entrypoints.http.schemas.people_requests import BillingBody, ContactBody, ShippingBody


class LineBody(Body, frozen=True):
    """One line. `discount` and `tax` are for the whole line; only callers with `orders:price`
    may state them, or a `unit_price` or `tax_rate` that is not the catalogue's. A line may state
    its `tax_rate`, such as "0.19", or its `tax`, not both. `metadata` is for whoever packs.
    """

    sku: str
    name: str
    quantity: int
    unit_price: int | None = None
    discount: int = 0
    tax: int = 0
    shippable: bool = True
    tax_rate: str | None | UnsetType = UNSET
    metadata: Annotated[dict[str, str], FEW] | UnsetType = UNSET


class InitialPaymentBody(Body, frozen=True):
    """How to pay while placing. `method` is a token of the payment service, never card data."""

    method: str
    capture: bool = False

    def to_domain(self) -> InitialPayment:
        """The payment as the use case takes it."""
        return InitialPayment(method=self.method, capture=self.capture)


class DraftBody(Body, frozen=True):
    """What to order. With `expected_total` it costs exactly that, or is refused.

    With `prices_include_tax` all prices and discounts are with tax. Without the member it is as
    the catalogue's prices are, or false.
    """

    currency: str
    lines: list[LineBody]
    customer_id: str | None = None
    shipping: ShippingBody | None = None
    discount: int = 0
    external_reference: str | None = None
    note: str | None = None
    expected_total: int | None = None
    metadata: Annotated[dict[str, str], FEW] = field(default_factory=dict)
    prices_include_tax: bool | None | UnsetType = UNSET
    contact: ContactBody | None | UnsetType = UNSET
    billing: BillingBody | None | UnsetType = UNSET
    gift_message: str | None | UnsetType = UNSET

    def to_draft(self) -> OrderDraft:
        """The draft as the domain checks it."""
        return OrderDraft(
            currency=self.currency,
            lines=_lines(self.lines),
            shipping=None if self.shipping is None else self.shipping.to_domain(),
            discount=self.discount,
            external_reference=self.external_reference,
            note=self.note,
            metadata=self.metadata,
            expected_total=self.expected_total,
            prices_include_tax=stated(self.prices_include_tax),
            contact=self.contact.to_domain() if self.contact else None,
            billing=self.billing.to_domain() if self.billing else None,
            gift_message=stated(self.gift_message),
        )


class PlaceOrderBody(DraftBody, frozen=True):
    """What to order, and how to pay for it.

    With terms other than `prepaid`, for callers with `orders:terms`, the order is shipped before it
    is paid. `due_in_days`, from 0 to 365, is for `invoice`, and counts from the dispatch.

    `expires_at`, or else `pay_within_seconds` from now, is when it expires if nobody has paid.
    `holds` are the reasons why it is held from the start; with `confirmation` `manual` only staff
    confirm it. Only callers who may hold or confirm orders may ask for these two.
    """

    payment: InitialPaymentBody | None = None
    expires_at: datetime | None | UnsetType = UNSET
    pay_within_seconds: int | None | UnsetType = UNSET
    holds: Annotated[list[str], FEW] | UnsetType = UNSET
    confirmation: str | UnsetType = UNSET
    terms: TermsKind | UnsetType = UNSET
    due_in_days: int | UnsetType = UNSET

    def to_draft(self) -> OrderDraft:
        """The draft as the domain checks it.

        Raises:
            InvalidValue: If `confirmation` is none of its values.
        """
        try:
            confirmation = Confirmation(stated(self.confirmation) or Confirmation.AUTOMATIC)
        except ValueError:
            names = " or ".join(Confirmation)
            raise InvalidValue("confirmation", f"must be {names}") from None
        kind = TermsKind.PREPAID if self.terms is UNSET else self.terms
        terms = PaymentTerms(kind=kind, due_in_days=stated(self.due_in_days))
        return replace(
            super().to_draft(),
            holds=tuple(stated(self.holds) or ()),
            confirmation=confirmation,
            terms=None if kind is TermsKind.PREPAID else terms,
        )


class ReasonBody(Body, frozen=True):
    """Why. A code such as `customer` or `suspected-fraud`."""

    reason: str


class CancelBody(Body, frozen=True):
    """Why the order is called off: customer, declined, fraud, inventory, staff or other."""

    reason: str = "customer"


class ItemBody(Body, frozen=True):
    """Some units of a line, by its `id`."""

    line_id: str
    quantity: int


class ItemsBody(Body, frozen=True):
    """Some units of some lines; each line once."""

    items: list[ItemBody]

    def to_items(self) -> Items:
        """Units by line id.

        Raises:
            InvalidValue: If a line is named twice.
        """
        items = {item.line_id: item.quantity for item in self.items}
        if len(items) < len(self.items):
            raise InvalidValue("items", "must contain each line once")
        return items


class ShippingChangeBody(Body, frozen=True):
    """Another shipping method. Only callers with `orders:price` may state a price or a tax that is
    not the catalogue's. Without a `tax` or `tax_rate`, the rate stays as it is.
    """

    method: str
    price: int = 0
    tax: int = 0
    tax_rate: str | None = None


class ChangeBody(ItemsBody, frozen=True, kw_only=True):
    """Units to take off (`items`), `lines` to add and another `shipping` method, at once. More of
    a line is a new line.
    """

    reason: str
    items: list[ItemBody] = field(default_factory=list)
    lines: list[LineBody] = field(default_factory=list)
    shipping: ShippingChangeBody | None | UnsetType = UNSET
    expected_total: int | None = None

    def to_proposal(self) -> ProposedChange:
        """The proposal as the use case takes it.

        Raises:
            InvalidValue: If a line is named twice.
        """
        return ProposedChange(
            removed=self.to_items(),
            added=_lines(self.lines),
            reason=self.reason,
            shipping=_shipping_change(stated(self.shipping)),
            expected_total=self.expected_total,
        )


class CancelItemsBody(ItemsBody, frozen=True):
    """Which units are called off, and why."""

    reason: str = "customer"


class ReturnBody(ItemsBody, frozen=True):
    """Which units come back, and why."""

    reason: str = "customer"


class ShipmentBody(ItemsBody, frozen=True):
    """Which units go into the parcel, and who carries it."""

    carrier: str | None = None
    tracking: str | None = None


class DispatchBody(Body, frozen=True):
    """The carrier's number, if it is known only now."""

    tracking: str | None = None


class CustomerBody(Body, frozen=True):
    """Whose the order becomes."""

    customer_id: str


class NoteBody(Body, frozen=True):
    """A note from staff for staff."""

    text: str


class EmptyBody(Body, frozen=True):
    """Nothing needs to be said."""


def _lines(bodies: list[LineBody]) -> tuple[DraftLine, ...]:
    # By plain values, which hold no member that was left out.
    return msgspec.convert(msgspec.to_builtins(bodies), tuple[DraftLine, ...])


def _shipping_change(body: ShippingChangeBody | None) -> ShippingChange | None:
    return None if body is None else msgspec.convert(body, ShippingChange, from_attributes=True)
