#!/usr/bin/env python3
"""Starts one Beam worker on a machine that has Beam and no project: fetches what the job staged, installs its wheel, becomes the worker.

A runner calls this file, or the command `phantom-worker`, for each worker: `--environment_type=PROCESS`, or a worker pool's `--container_executable`,
by Beam's SDK container contract. It needs nothing of the project, so that it may be copied alone. The wheel is installed under BOOT_DIR, by default
a folder of this user's where temporary files lie, once for each content.
"""

import argparse
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
from apache_beam.portability.api import (
    beam_artifact_api_pb2,
    beam_artifact_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
    endpoints_pb2,
)
from google.protobuf import json_format, text_format

STAGED_AS = 'beam:artifact:role:staging_to:v1'
UNBOUNDED = [('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1)]
PATIENCE_S = 600


def main() -> None:
    """Become the worker that the pool asked for."""
    given = _arguments()
    caller = [('worker_id', given.id)]
    provision = beam_provision_api_pb2_grpc.ProvisionServiceStub(grpc.insecure_channel(given.provision_endpoint, UNBOUNDED))
    info = provision.GetProvisionInfo(beam_provision_api_pb2.GetProvisionInfoRequest(), metadata=caller, timeout=PATIENCE_S).info
    channel = grpc.insecure_channel(info.artifact_endpoint.url or given.artifact_endpoint, UNBOUNDED)
    for name, data in _staged(channel, list(info.dependencies), caller):
        if name.endswith('.whl'):
            sys.path.insert(0, str(_installed(name, data)))
    os.environ.update(
        WORKER_ID=given.id,
        PIPELINE_OPTIONS=json_format.MessageToJson(info.pipeline_options),
        RUNNER_CAPABILITIES=' '.join(info.runner_capabilities),
        SEMI_PERSISTENT_DIRECTORY=str(_home()),
        LOGGING_API_SERVICE_DESCRIPTOR=_descriptor(info.logging_endpoint.url or given.logging_endpoint),
        CONTROL_API_SERVICE_DESCRIPTOR=_descriptor(info.control_endpoint.url or given.control_endpoint),
    )
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ('id', 'logging_endpoint', 'artifact_endpoint', 'provision_endpoint', 'control_endpoint'):
        parser.add_argument(f'--{name}', default='')
    return parser.parse_known_args()[0]


def _home() -> Path:
    """Return the folder for what is installed, which nobody else may write to."""
    home = Path(os.environ.get('BOOT_DIR') or Path(tempfile.gettempdir(), f'phantom-worker-{os.getuid()}'))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if home.stat().st_uid != os.getuid():
        raise PermissionError(f'{home}: expected a folder of our own, found one of another user; set BOOT_DIR')
    return home


def _staged(channel: grpc.Channel, wanted: list, caller: list) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of every artifact of the job."""
    artifacts = beam_artifact_api_pb2_grpc.ArtifactRetrievalServiceStub(channel)
    resolved = artifacts.ResolveArtifacts(beam_artifact_api_pb2.ResolveArtifactsRequest(artifacts=wanted), metadata=caller, timeout=PATIENCE_S)
    for artifact in resolved.replacements:
        role = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
        request = beam_artifact_api_pb2.GetArtifactRequest(artifact=artifact)
        pieces = artifacts.GetArtifact(request, metadata=caller, timeout=PATIENCE_S)
        yield role.staged_name if artifact.role_urn == STAGED_AS else '', b''.join(piece.data for piece in pieces)


def _installed(name: str, data: bytes) -> Path:
    """Return the folder into which pip put this wheel and nothing else."""
    home = _home()
    folder = home / hashlib.sha256(data).hexdigest()[:16]
    with open(home / 'install.lock', 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            wheel = home / name
            wheel.write_bytes(data)
            pip = [sys.executable, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-index', '--no-deps']
            subprocess.run([*pip, '--target', f'{folder}.new', str(wheel)], check=True, stdout=sys.stderr, timeout=PATIENCE_S)
            os.rename(f'{folder}.new', folder)
    return folder


def _descriptor(url: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=url))


if __name__ == '__main__':
    main()
