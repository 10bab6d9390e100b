"""Who buys, who pays, and how to reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from orders.domain.read_only import read_only
from orders.domain.validation.address import Address
from orders.domain.validation.values import (
    validate_email,
    validate_kind,
    validate_optional_text,
    validate_vat_id,
)


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How to reach the customer about the order.

    Raises:
        InvalidValue: If the e-mail address or the phone has no valid form.
    """

    email: str | None = None
    phone: str | None = None

    def __post_init__(self) -> None:
        if self.email is not None:
            validate_email(self.email, "contact/email")
        validate_optional_text(self.phone, "contact/phone")


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAddress(Address):
    """The address on the invoice, with the rules of a delivery address."""

    _FIELD: ClassVar[str] = "billing/address"


@read_only
@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """Whom the invoice is for. Nobody checks that the company or its VAT id exists.

    Raises:
        InvalidValue: If a part has no valid form.
    """

    address: BillingAddress | None = None
    company: str | None = None
    vat_id: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None:
            validate_kind(self.address, BillingAddress, "billing/address")
        validate_optional_text(self.company, "billing/company")
        if self.vat_id is not None:
            validate_vat_id(self.vat_id, "billing/vat_id")


def validate_contact(value: Contact) -> Contact:
    """A `Contact`."""
    validate_kind(value, Contact, "contact")
    return value


def validate_billing(value: Billing) -> Billing:
    """A `Billing`."""
    validate_kind(value, Billing, "billing")
    return value
