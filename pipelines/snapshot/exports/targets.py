"""The trainers for which `phantom export` writes, by the names that it takes; a module of its own, which imports nothing heavy."""

from enum import StrEnum


class Target(StrEnum):
    """Whose form a folder has; `export.TARGETS` says who writes it."""

    TRL = 'trl'
    MS_SWIFT = 'ms-swift'
    LLAMA_FACTORY = 'llama-factory'
    AXOLOTL = 'axolotl'
    OPENRLHF = 'openrlhf'
    WEBDATASET = 'webdataset'
    JSONL = 'jsonl'
