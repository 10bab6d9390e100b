"""Every refusal has one status and one code, and says nothing that is not ours to say."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import orders
from orders.application.errors import ApplicationError
from orders.domain.errors import OrderError
from orders.entrypoints.http import problems
from orders.entrypoints.http.errors import EDGE_REFUSALS, STATUS
from tests.support.api import Api, assert_problem
from tests.support.shop import Interrupted, Shop

ENTRYPOINTS = Path(problems.__file__).parents[1]
NEVER_ANSWERED = {OrderError, ApplicationError}
"""What refusals are made from; nobody raises these themselves."""


def refusals() -> set[type[Exception]]:
    """Every class of refusal of domain, application and adapters."""
    for layer in ("domain", "application", "adapters"):
        package = importlib.import_module(f"orders.{layer}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return {*subclasses(OrderError), *subclasses(ApplicationError)} - NEVER_ANSWERED


def subclasses(base: type[Exception]) -> Iterable[type[Exception]]:
    """The class and all that are made from it, in this package."""
    yield base
    for derived in base.__subclasses__():
        if derived.__module__.startswith(f"{orders.__name__}."):
            yield from subclasses(derived)


def test_the_table_has_every_refusal_with_a_code_of_its_own() -> None:
    with_code = {refusal for refusal in refusals() if "code" in vars(refusal)}

    assert len(with_code) > 35
    assert set(STATUS) == with_code


def test_a_refusal_without_a_code_of_its_own_is_answered_as_the_one_it_is_made_from() -> None:
    for refusal in refusals() - STATUS.keys():
        assert STATUS.keys() & {*refusal.__mro__}


def test_no_two_refusals_share_a_code() -> None:
    codes = Counter(vars(refusal)["code"] for refusal in STATUS)

    assert [code for code, times in codes.items() if times > 1] == []
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


def test_no_refusal_of_ours_is_answered_with_500() -> None:
    assert {status for status in STATUS.values() if not 400 <= status <= 499} == {502, 503}


async def test_a_fault_of_ours_is_500_and_tells_nothing(api: Api, shop: Shop) -> None:
    async def fail(name: str) -> None:
        raise RuntimeError("mongodb://root:hunter2@10.0.0.7")

    shop.orders.before = fail

    answer = await api.place()

    problem = assert_problem(answer, 500, "internal-error")
    for secret in ("hunter2", "RuntimeError", "Traceback", "mongodb"):
        assert secret not in answer.text
    assert problem["trace_id"] in problem.values()


async def test_a_problem_never_repeats_what_was_sent(api: Api) -> None:
    secret = "4111-1111-1111-1111"

    for answer in (
        await api.place(note=f"{secret}\x00"),
        await api.place(payment={"method": f"{secret} {secret}"}),
        await api.place(external_reference=f"{secret} "),
        await api.place(currency=secret),
        await api.place(metadata={"a": f"{secret}\x07"}),
        await api.get("/orders", status=secret),
        await api.get("/orders", cursor=secret),
    ):
        assert answer.status_code in {400, 422}
        assert secret not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE"])
async def test_names_the_methods_of_an_address(api: Api, method: str) -> None:
    order = await api.placed()

    for path, allowed in (
        ("/orders", "GET, HEAD, OPTIONS, POST"),
        (f"/orders/{order['id']}", "GET, HEAD, OPTIONS, PATCH"),
    ):
        answer = await api.call(method, path)
        assert_problem(answer, 405, "method-not-allowed")
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/order", "/orders/{id}/unknown", "/orders/{id}/payments/1"])
async def test_there_is_nothing_at_other_addresses(api: Api, path: str) -> None:
    order = await api.placed()

    assert_problem(await api.get(path.format(id=order["id"])), 404, "not-found")


async def test_the_end_of_the_process_is_not_answered(api: Api, shop: Shop) -> None:
    async def end(name: str) -> None:
        raise Interrupted

    shop.orders.before = end

    with pytest.raises(Interrupted):
        await api.place()


def test_every_code_of_the_edge_is_published() -> None:
    """A code is a text of one to four words in kebab case, in a call that makes a refusal."""
    makers = {"RequestRefused", "problem", "problem_of", "_bad_key"}
    trees = [ast.parse(path.read_text("utf-8")) for path in ENTRYPOINTS.rglob("*.py")]
    used = {code for tree in trees for code in _codes_in(tree, makers)}
    used |= {code for code, _ in problems._REFUSALS.values()}
    assert used == set(EDGE_REFUSALS)


def _codes_in(tree: ast.AST, makers: set[str]) -> Iterator[str]:
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        if call.func.id not in makers:
            continue
        for value in (*call.args, *(keyword.value for keyword in call.keywords)):
            text = str(value.value) if isinstance(value, ast.Constant) else ""
            if re.fullmatch(r"[a-z]+(-[a-z]+){0,3}", text):
                yield text
