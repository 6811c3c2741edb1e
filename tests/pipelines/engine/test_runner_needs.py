"""A runner that cannot start says so in one message with the remedy, before anything is read."""

import pytest

from pipelines.engine import runner_needs
from pipelines.engine.engine import Engine
from pipelines.engine.runner_needs import refuse_lacking
from schemas.errors import UserError


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(runner_needs.shutil, 'which', lambda name: None)


@pytest.mark.parametrize(('args', 'told'), [
    (['--runner=PortableRunner'], 'expected --job_endpoint=HOST:PORT of a job server, found none; start one'),
    (['--runner=portablerunner', '--environment_type=LOOPBACK'], 'add --job_endpoint=localhost:8073'),
    (['--runner=FlinkRunner', '--flink_master=h:8081'], "expected Java, which its job server needs, found no program 'java'; install one"),
    (['--runner=SparkRunner', '--job_server_java_launcher=/opt/j'], "found no program '/opt/j'"),
    (['--runner=DataflowRunner', '--region=r'], 'expected --project=PROJECT, --region=REGION and --temp_location=gs://BUCKET/FOLDER, found no --project'),
])  # fmt: skip
def test_what_a_runner_lacks_is_named_with_the_remedy(no_java, args, told):
    with pytest.raises(UserError) as refused:
        refuse_lacking(args)
    assert told in str(refused.value)
    assert str(refused.value).startswith(args[0])
    assert str(refused.value).endswith('see docs/operations.md')


@pytest.mark.parametrize('args', [
    ['--runner=PortableRunner', '--job_endpoint=h:1'], ['--runner=FlinkRunner', '--job_endpoint=h:1'], ['--runner=FlinkRunner', '--flink_submit_uber_jar'],
    ['--runner=DataflowRunner', '--project=p'], ['--direct_num_workers=2'], [],
])  # fmt: skip
def test_nothing_is_said_of_what_is_there(no_java, args):
    refuse_lacking(args)


def test_java_is_looked_for(monkeypatch):
    monkeypatch.setattr(runner_needs.shutil, 'which', lambda name: f'/bin/{name}')
    refuse_lacking(['--runner=FlinkRunner'])


def test_a_build_is_refused_before_it_begins(no_java, tmp_path):
    with pytest.raises(UserError, match='--runner=FlinkRunner: expected Java'):
        Engine(tmp_path / 'work', ('--runner=FlinkRunner',))
    assert not (tmp_path / 'work').exists()
