"""Shards that are lost, and lost again, on a cluster that is played: who tries how often, and what is told."""

from types import SimpleNamespace

import pytest
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

from pipelines.engine import ray_run
from pipelines.engine.ray_run import Round
from pipelines.engine.ray_worker import Home
from pipelines.engine.shards import Job
from pipelines.engine.tables import Table
from schemas.errors import BudgetExceeded, PendingWork, UserError
from tests.pipelines.engine.deadly import Light


class Crew:
    """Has room for one call at a time; what becomes of each try at a shard is said before."""

    needs, places = {'num_gpus': 1.0}, 1

    def __init__(self, *becomes: tuple[str, object]) -> None:
        self.becomes, self.tried, self.stopped, self.released = list(becomes), [], False, False
        self.call = None

    def look(self, waiting):
        pass

    def coming(self):
        return []

    def room(self):
        return self.places and self.call is None

    def send(self, home, order, packed):
        self.tried.append(order.shard)
        self.call = order
        return order

    def done(self, call, *, lost=False):
        self.call = None

    def get(self, call, timeout=None):
        word, what = self.becomes.pop(0)
        assert word == call.shard
        if isinstance(what, Exception) and not isinstance(what, UserError):
            raise what
        return what

    def release(self):
        self.released = True

    def stop(self):
        self.stopped = True


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Return a function that has a crew make some words."""
    def make(crew: Crew, *words: str) -> None:
        played = SimpleNamespace(put=bytes, get=crew.get, wait=lambda calls, **how: (calls, []))
        monkeypatch.setattr(ray_run, 'ray', played)
        monkeypatch.setattr(ray_run, 'LOOK_S', 0.0)
        table = Table(tmp_path / 'light/f', 'light')
        home = Home(str(tmp_path), str(tmp_path), 'token', (), ())
        Round([Job(Light(words, str(tmp_path)), table, len(words), list(enumerate(words)))], home, crew, tmp_path / 'log').make()

    return make


def test_a_lost_shard_is_tried_three_times_and_told_each_time(play, capfd):
    crew = Crew(('a', None), ('b', WorkerCrashedError()), ('b', NodeDiedError('')), ('b', None), ('c', None))
    play(crew, 'a', 'b', 'c')
    assert crew.tried == ['a', 'b', 'b', 'b', 'c']
    assert crew.released
    assert not crew.stopped
    assert capfd.readouterr().err.splitlines() == [
        'light: shard 2 of 3 (b): its worker was ended by SIGKILL, or itself; it is made again (2 of 3)',
        'light: shard 2 of 3 (b): its worker was ended by the end of its node; it is made again (3 of 3)']


def test_the_third_loss_of_a_shard_ends_the_step_and_losses_of_others_do_not_count(play):
    crew = Crew(('a', WorkerCrashedError()), ('a', WorkerCrashedError()), ('a', None), *[('b', OutOfMemoryError(''))] * 3)
    with pytest.raises(PendingWork, match=r"light: shard 2 of 3 \(b\): the 3 worker processes .* ended by Ray's memory monitor .* give the nodes more memory"):
        play(crew, 'a', 'b', 'c')
    assert crew.tried == [*'aaabbb']
    assert crew.stopped


def test_a_node_that_cannot_run_the_build_is_no_death(play):
    error = RayTaskError('make', 'Traceback', ModuleNotFoundError("No module named 'pyarrow'"))
    crew = Crew(('a', error))
    with pytest.raises(UserError, match="expected worker processes that can run this build, found ModuleNotFoundError: No module named 'pyarrow'"):
        play(crew, 'a', 'b')
    assert crew.tried == ['a']
    assert crew.stopped


def test_what_a_step_raises_ends_the_step_and_a_spent_budget_once_the_others_are_done(play):
    with pytest.raises(UserError, match='oh'):
        play(crew := Crew(('a', UserError('oh'))), 'a', 'b')
    assert crew.tried == ['a']
    with pytest.raises(BudgetExceeded, match='spent'):
        play(crew := Crew(('a', BudgetExceeded('spent'))), 'a', 'b')
    assert crew.tried == ['a']


def test_it_is_told_when_the_cluster_has_no_room(play, monkeypatch, capfd):
    class Nobody(Crew):
        places = 0
        looks = 0

        def look(self, waiting):
            self.looks += 1
            if self.looks == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(ray_run, 'PATIENCE_S', 0.0)
    with pytest.raises(KeyboardInterrupt):
        play(crew := Nobody(), 'a')
    assert crew.stopped
    assert 'light: waiting for a node of the Ray cluster with room for a worker (num_gpus: 1); see ray status' in capfd.readouterr().err
