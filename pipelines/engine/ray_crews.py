"""Who makes shards on a Ray cluster: tasks, or actors where a step opens something that is worth keeping. Ray's own retries are off: we count."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.engine import ray_worker
from pipelines.engine.ray_worker import Home, Maker, Order

SPREAD = 'SPREAD'  # shards are few and heavy: not one node first
STOP_S = 6.0  # from the order to stop to the kill; the build's own patience is 15 s
RELEASE_S = 60.0  # for closing what a step has opened
AHEAD = 2  # tasks sent for each place: the next one lies ready when one is done, and an autoscaler sees that there is more

NAMES = {'num_cpus': 'CPU', 'num_gpus': 'GPU'}  # of what a worker needs, as nodes count it
EPSILON = 1e-6  # of 0.1 three times is less than 0.3

Needs = dict[str, float]  # what a worker takes for itself: num_cpus, num_gpus


def count_places(needs: Needs, most: int | None) -> int:
    """Return how many workers that need so much the nodes that are up have room for, whatever else runs there; `most`: no more."""
    n = sum(_places_of(node['Resources'], needs) for node in ray.nodes() if node['Alive'])
    return n if most is None else min(n, most)


def _places_of(has: dict[str, float], needs: Needs) -> int:
    return min(math.floor(has.get(NAMES[name], 0) / n + EPSILON) for name, n in needs.items() if n > 0)


def on_node(node: str) -> dict[str, Any]:
    """Return the options of a task that runs on just this node, whatever else runs there."""
    return {'num_cpus': 0, 'max_retries': 0, 'scheduling_strategy': NodeAffinitySchedulingStrategy(node, soft=False)}


@dataclass
class Tasks:
    """Tasks: any worker process of the cluster makes any shard."""

    needs: Needs
    most: int | None
    places: int = 0  # that the nodes have, of so many
    _room: int = 0
    _calls: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._make = ray.remote(ray_worker.make).options(**self.needs, max_retries=0, scheduling_strategy=SPREAD)

    def look(self, waiting: int) -> None:
        """Send some ahead, of a step that may be made by any number at once."""
        ahead = AHEAD if self.most is None else 1
        self.places = count_places(self.needs, self.most)
        self._room = ahead * max(1, self.places)

    def room(self) -> int:
        """Return how many orders can be sent now."""
        return self._room - len(self._calls)

    def send(self, home: Home, order: Order, packed: Any) -> Any:
        """Return the reference of what will be answered."""
        call = self._make.remote(home, order, packed)
        self._calls.add(call)
        return call

    def done(self, call: Any, *, lost: bool = False) -> None:
        """Hear that a call was answered, or is lost."""
        self._calls.discard(call)

    def coming(self) -> list[Any]:
        """Return nothing: nobody is waited for."""
        return []

    def release(self) -> None:
        """Nothing is open that would be worth it."""

    def stop(self) -> None:
        """Interrupt what runs, and kill what does not end."""
        calls = list(self._calls)
        for call in calls:
            ray.cancel(call)
        late = ray.wait(calls, num_returns=len(calls), timeout=STOP_S)[1] if calls else []
        for call in late:
            ray.cancel(call, force=True)
        self._calls.clear()


@dataclass(eq=False)
class Hired:
    """An actor, and what it does now."""

    actor: Any
    hello: Any
    pid: int = 0  # 0 before it is heard of
    node: str = ''
    call: Any = None


@dataclass
class Actors:
    """Actors: each makes one shard after the other, and keeps open what the step opens."""

    needs: Needs
    most: int | None
    home: Home
    teller: Any
    places: int = 0  # that the nodes have, of so many
    hired: list[Hired] = field(default_factory=list)

    def look(self, waiting: int) -> None:
        """Have as many actors as there is room for and shards wait; one for which others leave no room waits, and an autoscaler sees it."""
        kind: Any = ray.remote(Maker).options(**self.needs, max_restarts=0, max_task_retries=0, scheduling_strategy=SPREAD)
        idle = sum(1 for one in self.hired if one.call is None)
        self.places = count_places(self.needs, self.most)
        most = max(1, self.places)
        for _ in range(min(most - len(self.hired), waiting - idle)):
            actor = kind.remote(self.teller)
            self.hired.append(Hired(actor, actor.hello.remote(self.home)))

    def coming(self) -> list[Any]:
        """Return the references of what actors say when they have come."""
        return [one.hello for one in self.hired if not one.pid]

    def greeted(self) -> None:
        """Hear of actors that have come; raises what is wrong with their machines, and what Ray says of those that never will come."""
        new = {one.hello: one for one in self.hired if not one.pid}
        if new:
            for hello in ray.wait(list(new), num_returns=len(new), timeout=0)[0]:
                one = new[hello]
                try:
                    said = ray.get(hello)
                except ray.exceptions.RayError:
                    self.dismiss([one])
                    raise
                if isinstance(said, Exception):
                    raise said
                one.pid, one.node = said

    def room(self) -> int:
        """Return how many orders can be sent now."""
        return sum(1 for one in self.hired if one.pid and one.call is None)

    def send(self, home: Home, order: Order, packed: Any) -> Any:
        """Return the reference of what will be answered."""
        one = next(one for one in self.hired if one.pid and one.call is None)
        one.call = one.actor.make.remote(home, order, packed)
        return one.call

    def done(self, call: Any, *, lost: bool = False) -> None:
        """Hear that a call was answered, or is lost with its actor."""
        for one in [one for one in self.hired if one.call == call]:
            one.call = None
            if lost:
                self.dismiss([one])

    def dismiss(self, gone: Iterable[Hired]) -> None:
        """End some actors."""
        for one in list(gone):
            self.hired.remove(one)
            ray.kill(one.actor)

    def release(self) -> None:
        """Close what the step has opened; who takes too long is ended."""
        self.dismiss(one for one in self.hired if not one.pid)
        done = {one.actor.release.remote(): one for one in self.hired}
        if done:
            late = ray.wait(list(done), num_returns=len(done), timeout=RELEASE_S)[1]
            self.dismiss(done[call] for call in late)

    def stop(self) -> None:
        """Interrupt what runs, and kill what does not end."""
        busy = [one for one in self.hired if one.call is not None]
        for one in busy:
            ray.remote(ray_worker.stop).options(**on_node(one.node)).remote(one.pid)
        if busy:
            ray.wait([one.call for one in busy], num_returns=len(busy), timeout=STOP_S)
        self.dismiss(self.hired)
