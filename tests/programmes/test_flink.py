"""A whole build on Flink, embedded in Beam's job server, where $PHANTOM_FLINK_JAR names that server's jar and Java is there."""

import os
import shutil
from pathlib import Path

import pytest

from tests.programmes.project import ids, run
from tests.promises import promise

JAR = os.environ.get('PHANTOM_FLINK_JAR', '')
WHY = "PHANTOM_FLINK_JAR names no jar of Beam's Flink job server, or there is no java"


@pytest.mark.integration
@pytest.mark.skipif(not (Path(JAR).is_file() and shutil.which('java')), reason=WHY)
@promise('Processes', 'A build on Flink makes the same snapshots, where `PHANTOM_FLINK_JAR` names a job server')
def test_a_build_on_flink_makes_the_same_snapshots(built, project, tmp_path):
    beam = ('--runner=FlinkRunner', '--flink_master=[local]', f'--flink_job_server_jar={JAR}', '--parallelism=2', '--environment_type=LOOPBACK')
    told = run(project.command(tmp_path / 'out', '--mix-only', *beam))
    assert told.returncode == 0, told.stderr
    assert ids(tmp_path / 'out') == ids(built.out)[:1]
