"""What happens to a payment of the sandbox without a request of its merchant."""

from __future__ import annotations

from typing import NamedTuple

from orders.entrypoints.sandbox.payment_service.account import Account, DisputeEntry
from orders.entrypoints.sandbox.payment_service.scenarios import SCENARIOS, FollowUp


class Step(NamedTuple):
    """An account after a change, the movement of its money, and the event that tells it."""

    account: Account
    kind: str
    amount: int
    event: str


def next_step(account: Account) -> Step | None:
    """What happens next to an account that is decided, by its payment method."""
    match SCENARIOS[account.method].follow_up:
        case FollowUp.LAPSE if account.status == "authorized":
            lapsed = account.with_void()
            return Step(lapsed, "void", lapsed.released, "voided")
        case FollowUp.REFUND_ELSEWHERE if account.net_captured > 0:
            if all(each.reference for each in account.refunds):
                amount = account.net_captured
                return Step(account.with_refund(amount), "refund", amount, "refunded")
        case FollowUp.FAILED_REFUND if account.refunded:
            failed = account.with_failed_refunds()
            return Step(failed, "refund_reversal", account.refunded, "refund_failed")
        case FollowUp.DISPUTE | FollowUp.WON_DISPUTE if not account.disputes:
            if account.net_captured > 0:
                return disputed(account, DisputeEntry("dp_1", account.net_captured, "open"))
        case FollowUp.WON_DISPUTE if account.disputes[0].status == "open":
            return disputed(account, DisputeEntry("dp_1", account.disputes[0].amount, "won"))
    return None


def disputed(account: Account, dispute: DisputeEntry) -> Step:
    """Open a dispute or, if the account has one of its id, give it another status.

    Raises:
        Refusal: If disputes would be about more than was captured.
    """
    after = account.with_dispute(dispute)
    taken = after.charged_back - account.charged_back
    is_known = any(each.id == dispute.id for each in account.disputes)
    kind = "charge_back" if taken >= 0 else "charge_back_reversal"
    return Step(after, kind, abs(taken), "dispute_closed" if is_known else "dispute_opened")
