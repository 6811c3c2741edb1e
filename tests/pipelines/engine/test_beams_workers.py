"""Workers that Beam's FnApiRunner was given (--environment_type=EXTERNAL) and that die: Beam itself would wait for ever."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2

import tests
from pipelines.engine.beams_workers import GONE, Watched
from pipelines.engine.engine import Engine
from schemas.errors import PendingWork
from tests.pipelines.engine.deadly import Deadly
from tests.promises import promise


def test_what_a_lost_worker_was_to_do_and_is_told_to_do_later_fails():
    connection = Watched()
    before = [connection.push(beam_fn_api_pb2.InstructionRequest(instruction_id=name)) for name in ('one', 'two')]

    def answers():
        yield beam_fn_api_pb2.InstructionResponse(instruction_id='one')
        raise grpc.RpcError

    connection.set_input(answers())
    connection._read_thread.join()
    assert [future.get().error for future in before] == ['', GONE]
    assert connection.push(beam_fn_api_pb2.InstructionRequest(instruction_id='three')).get().error == GONE
    connection.close()


@pytest.mark.integration
@promise('Processes', "A worker of Beam's own (--environment_type) that dies ends the step with exit code 4, too; the same command goes on")
def test_a_step_whose_external_worker_is_killed_ends_and_goes_on(tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ['PATH']))
    env = {**os.environ, 'PATH': path, 'PYTHONPATH': str(Path(tests.__file__).parents[1])}
    with open(tmp_path / 'log', 'w', encoding='utf-8') as log:
        command = [sys.executable, '-m', 'apache_beam.runners.worker.worker_pool_main', f'--service_port={port}']
        workers = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        while workers.poll() is None:
            try:
                socket.create_connection(('localhost', port), 0.2).close()
                break
            except OSError:
                time.sleep(0.05)
        engine = Engine(tmp_path / 'work', ('--environment_type=EXTERNAL', f'--environment_config=localhost:{port}'))
        step = Deadly(('a', 'die:SIGKILL'), str(tmp_path))
        with pytest.raises(PendingWork, match=f'deadly: {GONE}: .*run the same command again to go on'):
            engine.run(step)
        assert engine.run(step).read()['n'].to_pylist() == [1, 11]
    finally:
        workers.terminate()
        workers.wait()
