"""What builds of other sizes need, from what was measured: processor time, clock, memory, disk, and the judge's time on GPUs.

With c seconds of processor time a record, of which s are spent where only one process works, a build of n records takes n * (s + (c - s) / cores) by
the clock where work spreads evenly. A judge that asks once for every candidate asks n times; prompt tokens a second are what one GPU takes in.
"""

from dataclasses import dataclass

PAPER_RECORDS = 2_852_771  # of the mix of arXiv 2409.14713, added up from its sources
SIZES = {'the paper': PAPER_RECORDS, 'Bee, FineVision': 24_000_000}  # 15 M and 24 M records are published (arXiv 2510.13795, 2510.17269)
CORES = (1, 8, 64)
WORKER_BYTES = 350e6  # of memory, of each worker process: seen 250 to 450 MB
HELD_BYTES = 600  # of memory that the build's own process holds of each record at least, for a moment (picks): shows from a million records on
TOKENS_A_CALL = 400  # question, two answers, the judge's instruction; pictures come on top: 256 a tile
PICTURE_TOKENS = 256
TOKENS_A_SECOND = 20_000  # of prompts, that one GPU takes in: assumed, not measured here
GPUS = (1, 8, 64)


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one record: processor seconds and their exponent, those where only one process works, bytes of memory and of disk; and what comes on top."""

    cpu_s: float
    exponent: float
    serial_s: float
    memory_bytes: float
    disk_bytes: float
    constant_bytes: float  # of memory, of the process of the build


def print_model(needs: Needs, tokens_a_second: int) -> None:
    """Print hours, memory and disk by size and number of cores."""
    print(f'\n## Other sizes\n\n{needs.cpu_s * 1e3:.2f} ms of processor time a record, exponent {needs.exponent:.2f}, '
          f'serial {needs.serial_s / needs.cpu_s:.1%}, {needs.disk_bytes / 1e3:.1f} KB of disk a record\n')
    head = [*(f'hours on {cores} core(s)' for cores in CORES), *(f'memory on {cores}, GB' for cores in CORES), 'disk, GB', 'judge calls']
    print(f'| records | processor hours | {" | ".join(head)} | {" | ".join(f"hours on {gpus} GPU(s)" for gpus in GPUS)} |')
    print('|---' * (2 + len(head) + len(GPUS)) + '|')
    for name, n in SIZES.items():
        grown = (n / PAPER_RECORDS) ** (needs.exponent - 1)
        cpu, serial = n * needs.cpu_s * grown, n * needs.serial_s * grown
        clock = [serial + (cpu - serial) / cores for cores in CORES]
        memory = [needs.constant_bytes + n * needs.memory_bytes + cores * WORKER_BYTES for cores in CORES]
        judged = [n * (TOKENS_A_CALL + PICTURE_TOKENS) / tokens_a_second / gpus for gpus in GPUS]
        told = [*(f'{s / 3600:.2f}' for s in clock), *(f'{some / 1e9:.1f}' for some in memory), f'{n * needs.disk_bytes / 1e9:,.0f}', f'{n:,}']
        print(f'| {name}: {n:,} | {cpu / 3600:.1f} | {" | ".join(told)} | {" | ".join(f"{s / 3600:.1f}" for s in judged)} |')
