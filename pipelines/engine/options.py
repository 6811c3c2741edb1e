"""Beam's options as a user of `phantom build` passes them: what nobody knows is refused, and which of them say who makes the tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions

from schemas.errors import UserError

IN_PROCESS = (None, 'FnApiRunner')
LOCAL = ('directrunner', 'bundlebaseddirectrunner', 'switchingdirectrunner', 'interactiverunner')  # others than FnApiRunner that need no job server


@dataclass(frozen=True, slots=True)
class Asked:
    """What Beam's options say of who makes the tables."""

    workers: int | None  # as of `phantom build`: what Beam's own multi_processing would start; None: one for each core; 0: Beam itself
    somebody: bool  # whether they name anybody: a runner, an environment, a number of workers


def look_at(args: Sequence[str]) -> Asked:
    """Return what some options ask for; raises UserError for what neither we nor Beam know."""
    check_options(args)
    options = PipelineOptions(list(args))
    direct = options.view_as(DirectOptions)
    of_beam = options.view_as(StandardOptions).runner not in IN_PROCESS or bool(options.view_as(PortableOptions).environment_type)
    many = direct.direct_running_mode == 'multi_processing' and not of_beam
    somebody = of_beam or many or 'direct_num_workers' in options.get_all_options(drop_default=True)
    return Asked(direct.direct_num_workers or None if many else 0, somebody)


def check_options(args: Sequence[str]) -> None:
    """Raise UserError for what neither we nor Beam know."""
    options = PipelineOptions(list(args))
    runner, known = options.view_as(StandardOptions).runner, StandardOptions.KNOWN_RUNNER_NAMES
    if runner and '.' not in runner and runner.lower() not in [name.lower() for name in known]:
        raise UserError(f'--runner={runner}: expected one of {", ".join(known)}, found none of them')
    unknown = _unknown(options)
    if unknown and not _is_portable(options):
        raise UserError(f'options {", ".join(f"--{name}" for name in unknown)}: expected options of `phantom build` or of Beam, '
                        'found neither; see phantom build --help')
    stray = [word for word, before in zip(args, ('', *args)) if word[:1] != '-' and (before[:1] != '-' or '=' in before)]
    if stray:
        raise UserError(f'expected one recipe and options, found also {", ".join(stray)}; see phantom build --help')


def passed_on(args: Sequence[str]) -> list[str]:
    """Return the options, as they were written, that Beam does not know here, and its runner elsewhere may."""
    unknown = _unknown(PipelineOptions(list(args)))
    return [word for word in args if word.partition('=')[0].lstrip('-') in unknown]


def _unknown(options: PipelineOptions) -> list[str]:
    return sorted(options.get_all_options(retain_unknown_options=True).keys() - options.get_all_options().keys())


def _is_portable(options: PipelineOptions) -> bool:
    """Return whether a job server runs the jobs, which has options of its own (of a runner in Java)."""
    runner = options.view_as(StandardOptions).runner
    return runner not in IN_PROCESS and runner.lower() not in LOCAL
