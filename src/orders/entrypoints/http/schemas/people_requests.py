"""Who buys, who pays, and where it goes: bodies of new orders, and the domain values they mean."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from orders.domain.validation import Address, Billing, BillingAddress, Contact, Shipping
from orders.entrypoints.http.schemas.body import Body

A = TypeVar("A", bound=Address)


class AddressBody(Body, frozen=True, omit_defaults=True):
    """A postal address. `country` is an ISO 3166-1 alpha-2 code."""

    name: str
    line1: str
    city: str
    country: str
    line2: str | None = None
    region: str | None = None
    postal_code: str | None = None
    phone: str | None = None

    def to_domain(self, kind: type[A]) -> A:
        """The address as the domain checks it."""
        return kind(**asdict(self))


class ShippingBody(Body, frozen=True):
    """How it travels. `method` is a code of the shop's. `tax` or `tax_rate` is as of a line.
    `instructions` are for whoever packs or delivers.
    """

    address: AddressBody | None = None
    method: str | None = None
    price: int = 0
    tax: int | UnsetType = UNSET
    tax_rate: str | None | UnsetType = UNSET
    instructions: str | None | UnsetType = UNSET

    def to_domain(self) -> Shipping:
        """The way of shipping as the domain takes it."""
        address = None if self.address is None else self.address.to_domain(Address)
        given = {name: value for name, value in asdict(self).items() if value is not UNSET}
        return Shipping(**{**given, "address": address})


class ContactBody(Body, frozen=True):
    """How to reach the customer about the order."""

    email: str | None = None
    phone: str | None = None

    def to_domain(self) -> Contact:
        """The contact as the domain checks it."""
        return Contact(email=self.email, phone=self.phone)


class BillingBody(Body, frozen=True):
    """Whom the invoice is for."""

    address: AddressBody | None = None
    company: str | None = None
    vat_id: str | None = None

    def to_domain(self) -> Billing:
        """Whom the invoice is for, as the domain checks it."""
        address = None if self.address is None else self.address.to_domain(BillingAddress)
        return Billing(address=address, company=self.company, vat_id=self.vat_id)
