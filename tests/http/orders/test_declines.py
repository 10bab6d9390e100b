"""How often a payment of one order may be declined: then the API says when to try again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.support.api import Api, assert_problem
from tests.support.shop import Shop

BAD, GOOD = {"method": "tok_declined"}, {"method": "tok_ok"}


async def declined(api: Api, times: int, *, who: str = "ada") -> tuple[str, dict[str, Any]]:
    """The path of an order after so many declined payments, and the order."""
    order = await api.placed(who=who)
    path = f"/orders/{order['id']}"
    for _ in range(times):
        order = await api.done(f"{path}/payments", BAD, who=who)
    return path, order


async def test_thirty_cards_are_refused_from_the_eleventh_on_and_an_hour_later_one_works(
    api: Api, shop: Shop
) -> None:
    path, _ = await declined(api, 0)
    answers = []
    for _ in range(30):
        answers.append(await api.post(f"{path}/payments", BAD))
        shop.clock.advance(timedelta(seconds=10))

    assert [answer.status_code for answer in answers] == [201] * 10 + [409] * 20
    for seconds, answer in enumerate(answers[10:]):
        assert_problem(answer, 409, "too-many-declines")
        assert answer.headers["retry-after"] == str(3_600 - 100 - 10 * seconds)
    assert sum(shop.provider.calls.values()) == 10

    shop.clock.advance(timedelta(seconds=int(answers[-1].headers["retry-after"]) - 10))
    paid = await api.done(f"{path}/payments", GOOD, who="ada")
    assert (paid["status"], paid["payment_status"]) == ("confirmed", "authorized")


async def test_actions_say_that_paying_is_blocked(api: Api) -> None:
    path, _ = await declined(api, 10)
    actions = (await api.get(f"{path}/actions")).json()["items"]
    (pay,) = [each for each in actions if each["action"] == "pay"]
    assert (pay["allowed"], pay["blocked_by"]) == (False, ["too-many-declines"])
    trial = await api.post(f"{path}/payments", GOOD, key=None, dry_run=True)
    assert_problem(trial, 409, "too-many-declines")


async def test_a_repeated_request_counts_once(api: Api) -> None:
    path, _ = await declined(api, 9)
    first = await api.post(f"{path}/payments", BAD, key="same")
    for _ in range(5):
        again = await api.post(f"{path}/payments", BAD, key="same")
        assert again.headers["idempotency-replayed"] == "true"
    assert len(first.json()["payments"]) == len(again.json()["payments"]) == 10
    assert_problem(await api.post(f"{path}/payments", BAD), 409, "too-many-declines")
