"""The main journey, over the client that openapi-python-client generates."""

import os
import uuid
from uuid import UUID

from orders_client import AuthenticatedClient
from orders_client.api.commands import capture
from orders_client.api.orders import edit, list_, place, read
from orders_client.models import (
    AmountBody,
    EditOrderBody,
    InitialPaymentBody,
    LineBody,
    OrderPage,
    OrderResponse,
    PlaceOrderBody,
    PlaceOrderBodyCurrency,
    Problem,
)
from orders_client.types import UNSET, Response, Unset

client = AuthenticatedClient(base_url=os.environ["ORDERS_URL"], token=os.environ["ORDERS_TOKEN"])
customer = os.environ["ORDERS_CUSTOMER"]


def place_order(price: int, quantity: int, key: str) -> Response[OrderResponse | Problem]:
    """Place an order that is paid for by a card."""
    return place.sync_detailed(
        client=client,
        idempotency_key=key,
        body=PlaceOrderBody(
            currency=PlaceOrderBodyCurrency.EUR,
            customer_id=customer,
            lines=[LineBody(sku="MUG-RED", name="Red mug", quantity=quantity, unit_price=price)],
            payment=InitialPaymentBody(method="tok_ok"),
        ),
    )


def new_key() -> str:
    """One for each intent; a repeated request has the same."""
    return str(uuid.uuid4())


def order_of(response: Response[OrderResponse | Problem]) -> OrderResponse:
    """The order that a request was answered with."""
    assert isinstance(response.parsed, OrderResponse), response
    return response.parsed


def problem_of(response: Response[OrderResponse | Problem]) -> Problem:
    """The problem that a request was refused with."""
    assert isinstance(response.parsed, Problem), response
    return response.parsed


def captured(order: OrderResponse) -> int:
    """How much of the first payment is captured, in minor units."""
    assert not isinstance(order.payments, Unset)
    return order.payments[0].captured


key = new_key()
order = order_of(place_order(3_000_000_000, 2, key))
assert not isinstance(order.totals, Unset)
print("placed", order.totals.due, order.payment_status)

repeated = place_order(3_000_000_000, 2, key)
assert order_of(repeated).id == order.id
assert repeated.headers["Idempotency-Replayed"] == "true"
print("repeated: the same order, replayed")


def capture_payment(order_id: UUID, amount: int | None) -> Response[OrderResponse | Problem]:
    """Capture a part of the first payment, or all that is left."""
    return capture.sync_detailed(
        order_id,
        "1",
        client=client,
        idempotency_key=new_key(),
        body=AmountBody(amount=amount),
    )


print("captured", captured(order_of(capture_payment(order.id, 4_500_000_000))))
refused = problem_of(capture_payment(order.id, 4_500_000_000))
print("refused", refused.status, refused.code)

place_order(2_500, 1, new_key())
small = order_of(place_order(2_500, 1, new_key()))
print("captured", captured(order_of(capture_payment(small.id, None))), "without an amount")

found, pages = 0, 0
cursor: str | Unset | None = UNSET
while cursor is not None:
    page = list_.sync(client=client, customer_id=customer, limit=2, cursor=cursor)
    assert isinstance(page, OrderPage), page
    found, pages, cursor = found + len(page.items), pages + 1, page.next_cursor
print("listed", found, "orders on", pages, "pages")

etag = read.sync_detailed(order.id, client=client).headers["ETag"]
note = EditOrderBody(note="Leave it with the neighbour")
edited = edit.sync_detailed(order.id, client=client, body=note, if_match=etag)
print("edited:", order_of(edited).note)
stale = problem_of(edit.sync_detailed(order.id, client=client, body=note, if_match=etag))
print("refused", stale.status, stale.code)
