"""What Beam's runners need before they can run anything: what lacks is one message with its remedy, before a source is read."""

import shutil
from collections.abc import Sequence

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)

from schemas.errors import UserError

ON_JAVA = ('flinkrunner', 'sparkrunner')  # whose job server is a jar, which Beam starts where no endpoint of one is named
SEE = 'see docs/operations.md'


def refuse_lacking(args: Sequence[str]) -> None:
    """Raise UserError where the runner that some options name cannot start."""
    options = PipelineOptions(list(args))
    name = options.view_as(StandardOptions).runner or ''
    runner = name.rpartition('.')[2].lower()
    endpoint = options.view_as(PortableOptions).job_endpoint
    if runner == 'portablerunner' and not endpoint:
        raise UserError(f'--runner={name}: expected --job_endpoint=HOST:PORT of a job server, found none; start one (`prism &`, which listens on '
                        f'localhost:8073) and add --job_endpoint=localhost:8073; {SEE}')
    if runner in ON_JAVA and not endpoint and not _submits_itself(options):
        _refuse_no_java(name, options.view_as(JobServerOptions).job_server_java_launcher)
    if runner == 'dataflowrunner' and not options.view_as(GoogleCloudOptions).project:
        raise UserError(f'--runner={name}: expected --project=PROJECT, --region=REGION and --temp_location=gs://BUCKET/FOLDER, found no --project; '
                        f'add them. Its workers must see the working folder under the path of this machine (Filestore); {SEE}')


def _submits_itself(options: PipelineOptions) -> bool:
    """Return whether Python hands the job to the cluster, without a job server."""
    return bool(options.view_as(FlinkRunnerOptions).flink_submit_uber_jar or options.view_as(SparkRunnerOptions).spark_submit_uber_jar)


def _refuse_no_java(name: str, launcher: str) -> None:
    if shutil.which(launcher) is None:
        raise UserError(f'--runner={name}: expected Java, which its job server needs, found no program {launcher!r}; install one that the runner '
                        'supports (Beam 2.77: 11, 17 or 21), name it with --job_server_java_launcher=PATH, or name a job server that runs elsewhere '
                        f'with --job_endpoint=HOST:PORT; {SEE}')
