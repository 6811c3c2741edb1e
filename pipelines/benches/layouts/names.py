"""The layouts of benchmarks by the names that recipes and `phantom read-bench` take; a module of its own, which imports nothing heavy."""

from enum import StrEnum


class LayoutName(StrEnum):
    """A layout; `layouts.LAYOUTS` says how it is read."""

    FOLDER = 'folder'
    SQA = 'sqa'
    AI2D = 'ai2d'
    CHARTQA = 'chartqa'
    SEED = 'seed'
    SEED_2_PLUS = 'seed-2-plus'
    POPE = 'pope'
    HALLUSIONBENCH = 'hallusionbench'
    MME = 'mme'
    MATHVISTA = 'mathvista'
    MMBENCH = 'mmbench'
    MM_VET = 'mm-vet'
    MM_VET_V2 = 'mm-vet-v2'
    LLAVA_W = 'llava-w'
    LLAVA_WILDER = 'llava-wilder'
    BLINK = 'blink'
    CV_BENCH = 'cv-bench'
    VISUALWEBBENCH = 'visualwebbench'
    MMSTAR = 'mmstar'
    MATHVERSE = 'mathverse'
    MATHVISION = 'mathvision'
