"""One trial: clients place orders while things die, then everything is checked from outside."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.chaos.client import Client
from tests.chaos.client_journeys import Case, Scene
from tests.chaos.crash_points import SPEAKER, Kill, turn
from tests.chaos.deliveries import Deliveries
from tests.chaos.deployment import PAYMENTS, Deployment
from tests.chaos.invariants import (
    SETTLED_WITHIN_SECONDS,
    Evidence,
    feed_violations,
    is_settled,
    strangers,
    violations,
)
from tests.chaos.wire import Trap, When, Wire, marks

Json = dict[str, Any]
TRIES: Final = 3
"""How often a run is begun whose point is not reached, as another's kill came first."""
_LOOK_SECONDS: Final = 0.3
_SPRINGS_WITHIN_SECONDS: Final = 45
_PULSE_SECONDS: Final = 1.0


class Trial:
    """A deployment with its clients, its consumer, and all that was seen. Used as `async with`."""

    def __init__(self, deployment: Deployment, *, seed: int) -> None:
        self.deployment = deployment
        self.client = Client(deployment)
        self.deliveries = Deliveries(deployment.broker_uri)
        self.cases: list[Case] = []
        self.found: dict[str, None] = {}
        """Every violation so far, in the order in which they were found."""
        self.chance = random.Random(seed)
        self._seed = seed
        self._rested = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.deployment.start()
        await self.client.__aenter__()
        await self.deliveries.start()
        self._background = [
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._feel_pulses()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.deliveries.stop()
        await self.client.__aexit__(kind, error, trace)
        await self.deployment.close()

    def new_case(self, method: str, *, capture: bool, point: str = "") -> Case:
        """An order that nobody has asked for yet."""
        key = f"chaos-{self._seed}-{len(self.cases)}"
        case = Case(key, method, capture, self.chance.randint(1, 5), point)
        self.cases.append(case)
        return case

    def scene(self, in_flight: asyncio.Event | None = None) -> Scene:
        """Two replicas to talk to, those that are up first."""
        up = self.deployment.up("api") or [*self.deployment.fronts]
        first = self.chance.choice(up)
        second = self.chance.choice([name for name in up if name != first] or up)
        return Scene(self.client, first, second, in_flight or asyncio.Event())

    async def run(self, name: str, number: int) -> Case:
        """One run of a crash point: kill, and leave it to the service to recover."""
        point, (method, capture) = turn(name, number, self.deployment.processes)
        await self.deployment.enough_up()
        case = self.new_case(method, capture=capture, point=name)
        kills = [point.kill] if point.again is None else [point.kill, point.again]
        traps = self._set(case, kills)
        flight = self._set_notice(case)
        try:
            await point.story(case, self.scene(flight.sprung))
            case.done = True
            await self._sprung(case, traps)
        finally:
            over = [flight, *traps]
            waiting = self.deployment.traps
            waiting[:] = [each for each in waiting if all(each is not trap for trap in over)]
        return case

    async def _sprung(self, case: Case, traps: Sequence[Trap]) -> None:
        try:
            for trap in traps:
                async with asyncio.timeout(_SPRINGS_WITHIN_SECONDS):
                    await trap.sprung.wait()
        except TimeoutError:
            case.missed = True

    def _set(self, case: Case, kills: Sequence[Kill]) -> list[Trap]:
        """A trap for each kill. The next one is there from the moment at which one springs."""
        traps: list[Trap] = []

        def spring(number: int, wire: Wire) -> None:
            kill = kills[number]
            victim = wire.owner if kill.kills == SPEAKER else kill.kills
            self.deployment.kill(victim)
            case.kills.append(self.deployment.killed[-1])
            self.deployment.traps += traps[number + 1 : number + 2]

        about = marks(case.order_id, case.key)
        for number, kill in enumerate(kills):
            traps.append(Trap(kill.at, kill.when, about, partial(spring, number)))
        self.deployment.traps.append(traps[0])
        return traps

    def _set_notice(self, case: Case) -> Trap:
        """Tells that the order's payment is under way."""
        trap = Trap(
            lambda message: message.verb == "POST /v1/payments",
            When.PASSED,
            marks(case.order_id, case.key),
            lambda wire: None,
            cuts=False,
        )
        self.deployment.traps.append(trap)
        return trap

    async def quiet(self, cases: Sequence[Case]) -> None:
        """Return once nothing is under way for the cases, a minute after health at most."""
        await self.deployment.all_up()
        for case in cases:
            case.healthy_at = self.deployment.healthy_since
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
                while any(case.settled_at is None for case in cases):
                    self._rested.clear()
                    await self._rested.wait()

    async def judge(self, cases: Sequence[Case]) -> list[str]:
        """Check every invariant on these cases; what is found is kept, too."""
        ledger = await self.client.ledger()
        limit = asyncio.Semaphore(8)

        async def one(case: Case) -> list[str]:
            async with limit:
                return violations(await self._evidence(case, ledger))

        found = [text for each in await asyncio.gather(*map(one, cases)) for text in each]
        self.found |= dict.fromkeys(found)
        return found

    async def judge_all(self) -> list[str]:
        """Check what is true of everything together, and of every order ever acknowledged."""
        found = await self.judge(self.cases)
        found += strangers(await self.client.ledger(), self.cases)
        found += feed_violations(await self._feed(), self.deliveries.ids)
        if self.deliveries.without_id:
            found.append(f"I3 {self.deliveries.without_id} messages without their id")
        for key, ids in self.client.memory.answers.items():
            if len(ids) > 1:
                found.append(f"I6 {key} was answered with {sorted(ids)}")
        found += self.client.memory.violations
        found += [f"I9 {text}" for text in self.deployment.died_by_itself]
        found += [f"I9 {text}" for text in self.deployment.crashes_in_logs()]
        self.found |= dict.fromkeys(found)
        return [*self.found]

    def disturb_payments(self, share: float) -> None:
        """Let a share of the calls to the payment service go wrong on their way."""
        for wire in self.deployment.wires:
            if wire.way == PAYMENTS:
                wire.fault_share = share

    async def _evidence(self, case: Case, ledger: Json) -> Evidence:
        own = str(case.order_id)
        shown = {}
        for name in self.deployment.fronts:
            reply = await self.client.get(name, case.path)
            if reply is not None and reply.ok:
                shown[name] = reply.body
            elif case.placed is not None and case.placed.ok:
                answer = "nothing" if reply is None else reply.status
                self.found[f"I2 {case.point} {own}: {name} answers {answer}"] = None
        page = await self.client.read(f"/v1/orders?external_reference={case.key}")
        timeline = await self.client.read(f"{case.path}/events") if shown else {"items": []}
        return Evidence(
            case=case,
            shown=shown,
            listed=[each["id"] for each in page["items"]],
            timeline=timeline["items"],
            deliveries=self.deliveries.by_order[own],
            accounts=[p for p in ledger["payments"] if p["reference"].startswith(own)],
            calls={key: n for key, n in ledger["calls"].items() if key.startswith(own)},
            healthy_at=self.deployment.healthy_since,
        )

    async def _feed(self) -> list[Json]:
        events: list[Json] = []
        while page := (await self.client.read(f"/v1/events?limit=100&after={len(events)}"))[
            "items"
        ]:
            events += page
        return events

    async def _watch(self) -> None:
        """Look at every open case again and again, and note when it came to rest."""
        while True:
            for case in [case for case in self.cases if case.done and case.settled_at is None]:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await self._look(case)
            await asyncio.sleep(_LOOK_SECONDS)  # the far side of HTTP gives no event to wait for

    async def _look(self, case: Case) -> None:
        ups = self.deployment.up("api")
        reply = await self.client.get(self.chance.choice(ups), case.path) if ups else None
        if reply is None or not reply.ok or not is_settled(reply.body, case.method):
            return
        now = time.monotonic()
        case.money_known_at = case.money_known_at or now
        timeline = await self.client.read(f"{case.path}/events")
        told = {event["id"] for event in timeline["items"]}
        if told <= {each.id for each in self.deliveries.by_order[str(case.order_id)]}:
            case.settled_at = time.monotonic()
            self._rested.set()

    async def _feel_pulses(self) -> None:
        """I9: what we have not killed is alive all the time."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                await asyncio.gather(
                    *(self._feel(session, name) for name in self.deployment.up("api"))
                )
                await asyncio.sleep(_PULSE_SECONDS)  # a pulse

    async def _feel(self, session: aiohttp.ClientSession, name: str) -> None:
        starts = self.deployment.processes[name].starts
        try:
            async with session.get(f"{self.deployment.cluster.urls[name]}/livez") as answer:
                alive = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            alive = False
        same = self.deployment.processes[name].starts == starts
        if not alive and same and self.deployment.is_up(name):
            self.client.memory.violations.append(f"I9 {name} gave no sign of life")


Tell = Callable[[Case], None]


async def run_points(
    trial: Trial, names: Sequence[str], numbers: Sequence[int], *, lanes: int, tell: Tell
) -> list[Case]:
    """Run points side by side, so many at once, in an order of chance; then wait for quiet."""
    waiting = [partial(trial.run, name, number) for number in numbers for name in names]
    trial.chance.shuffle(waiting)
    before = len(trial.cases)

    async def lane() -> None:
        while waiting:
            run = waiting.pop()
            for _ in range(TRIES):
                case = await run()
                tell(case)
                if not case.missed:
                    break

    await asyncio.gather(*(lane() for _ in range(lanes)))
    cases = trial.cases[before:]
    await trial.quiet(cases)
    await trial.judge(cases)
    return cases
