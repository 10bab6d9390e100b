"""Who buys, who pays, and what the parcel needs, as JSON: as far as the caller may see it."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from orders.application.access import Operation
from orders.application.details import Details
from orders.domain.state import OrderState
from orders.domain.validation import Billing, Contact, Shipping
from orders.entrypoints.http.schemas.part_responses import AddressResponse
from orders.entrypoints.http.schemas.response_part import ResponsePart


class ShippingResponse(ResponsePart, frozen=True):
    """How it travels. `instructions` are for whoever packs or delivers; left out without any."""

    address: AddressResponse | None
    method: str | None
    price: int | UnsetType = UNSET
    tax: int | UnsetType = UNSET
    tax_rate: str | None | UnsetType = UNSET
    instructions: str | UnsetType = UNSET

    @classmethod
    def of(cls, shipping: Shipping, *, money: bool, details: Details) -> ShippingResponse:
        """Show the way of shipping, with its price and instructions or without."""
        packing = Operation.SEE_PACKING in details
        return cls(
            address=AddressResponse.of(shipping.address),
            method=shipping.method,
            price=shipping.price if money else UNSET,
            tax=shipping.tax if money else UNSET,
            tax_rate=shipping.tax_rate if money else UNSET,
            instructions=(packing and shipping.instructions) or UNSET,
        )


class ContactResponse(ResponsePart, frozen=True):
    """How to reach the customer about the order."""

    email: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET

    @classmethod
    def of(cls, contact: Contact, details: Details) -> ContactResponse:
        """Show the e-mail address, the phone, or both."""
        return cls(
            email=contact.email if Operation.SEE_EMAIL in details else UNSET,
            phone=contact.phone if Operation.SEE_PHONE in details else UNSET,
        )


class BillingResponse(ResponsePart, frozen=True):
    """Whom the invoice is for."""

    address: AddressResponse | None
    company: str | None
    vat_id: str | None

    @classmethod
    def of(cls, billing: Billing) -> BillingResponse:
        """Show whom the invoice is for."""
        return cls(
            address=AddressResponse.of(billing.address),
            company=billing.company,
            vat_id=billing.vat_id,
        )


def people_of(state: OrderState, details: Details) -> dict[str, Any]:
    """The members of an order about people, as far as the caller may see them."""
    contact, billing = state.contact, state.billing
    shown: dict[str, Any] = {}
    if Operation.SEE_EMAIL in details or Operation.SEE_PHONE in details:
        shown["contact"] = contact and ContactResponse.of(contact, details)
    if Operation.SEE_BILLING in details:
        shown["billing"] = billing and BillingResponse.of(billing)
    if Operation.SEE_PACKING in details:
        shown["gift_message"] = state.gift_message
    return shown
