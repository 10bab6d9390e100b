"""Shipments, returns and credits as JSON.

Amounts are minor units of the order's currency, times RFC 3339 in UTC.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET, UnsetType

from orders.domain.returns import Credit, Return
from orders.domain.shipments import Shipment
from orders.entrypoints.http.schemas.part_responses import (
    AddressResponse,
    ItemResponse,
    items_response,
)
from orders.entrypoints.http.schemas.response_part import ResponsePart
from orders.entrypoints.http.schemas.totals_responses import TaxLineResponse


class ShipmentResponse(ResponsePart, frozen=True):
    """A parcel, and the address that it was packed for.

    `value` is what may be captured for it: what its units cost, and shipping in the first parcel.
    `surplus` units were cancelled, sent again or credited before it left or arrived: the lines do
    not count them. `failure_reason` is lost, refused, uncollected or damaged.
    """

    id: str
    status: str
    items: list[ItemResponse]
    address: AddressResponse | None
    carrier: str | None
    tracking: str | None
    created_at: datetime
    dispatched_at: datetime | None
    delivered_at: datetime | None
    surplus: list[ItemResponse]
    failed_at: datetime | None
    failure_reason: str | None
    value: int | None | UnsetType = UNSET

    @classmethod
    def of(cls, shipment: Shipment, *, money: bool) -> ShipmentResponse:
        """Show a shipment, with its value or without."""
        return cls(
            id=shipment.id,
            status=shipment.status,
            items=items_response(shipment.items),
            address=AddressResponse.of(shipment.address),
            carrier=shipment.carrier,
            tracking=shipment.tracking,
            created_at=shipment.created_at,
            dispatched_at=shipment.dispatched_at,
            delivered_at=shipment.delivered_at,
            surplus=items_response(shipment.surplus),
            failed_at=shipment.failed_at,
            failure_reason=shipment.failure_reason,
            value=shipment.value if money else UNSET,
        )


class ReturnResponse(ResponsePart, frozen=True):
    """Units on their way back. `items` were announced, `received` are those that came."""

    id: str
    status: str
    items: list[ItemResponse]
    reason: str
    created_at: datetime
    received: list[ItemResponse] | None
    credited: int | UnsetType = UNSET

    @classmethod
    def of(cls, a_return: Return, *, money: bool) -> ReturnResponse:
        """Show a return, with its credit or without."""
        received = a_return.received
        return cls(
            id=a_return.id,
            status=a_return.status,
            items=items_response(a_return.items),
            reason=a_return.reason,
            created_at=a_return.created_at,
            received=None if received is None else items_response(received),
            credited=a_return.credited if money else UNSET,
        )


class LineCreditResponse(ResponsePart, frozen=True):
    """The part of a credit that is for a line, and the tax in it."""

    line_id: str
    amount: int
    tax: int


class CreditResponse(ResponsePart, frozen=True):
    """An amount that is not owed, unless `revoked_at` is there. `lines` are its parts for lines.

    `undeliverable` units will not be delivered any more. `tax_lines` is the tax in the amount, as
    far as it is known.
    """

    id: str
    amount: int
    reason: str
    return_id: str | None
    created_at: datetime
    tax_lines: list[TaxLineResponse]
    lines: list[LineCreditResponse]
    undeliverable: list[ItemResponse]
    revoked_at: datetime | None

    @classmethod
    def of(cls, credit: Credit) -> CreditResponse:
        """Show a credit."""
        return cls(
            id=credit.id,
            amount=credit.amount,
            reason=credit.reason,
            return_id=credit.return_id,
            created_at=credit.created_at,
            tax_lines=[TaxLineResponse.of(each) for each in credit.tax_lines],
            lines=[
                LineCreditResponse(
                    line_id=line_id, amount=amount, tax=credit.line_taxes.get(line_id, 0)
                )
                for line_id, amount in credit.lines.items()
            ],
            undeliverable=items_response(credit.undeliverable),
            revoked_at=credit.revoked_at,
        )
