"""The sections of a recipe that say what of the samples read comes into the mix: bounds, near-duplicates, benchmarks, shares."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.section import Count, Fraction, Section
from schemas.source import Name


class ImageRules(Section):
    """Bounds checked on every picture; bytes and pixels before anything is decoded."""

    max_bytes: Count = 50_000_000
    """Bytes of a picture's file, at most."""
    max_pixels: Count = 50_000_000
    """Pixels of a picture, at most."""
    min_side_px: Count = 10
    """Pixels of its shorter side, at least."""
    max_aspect: float = Field(20.0, ge=1)
    """Longer side divided by the shorter one, at most."""
    matching_extension: bool = False
    """Reject a picture that holds another format than its name says (a JPEG named .png); else it is kept."""
    placeholder_ids: tuple[Annotated[str, Field(pattern='^[0-9a-f]{64}$')], ...] = ()
    """sha256 of known "image not available" files, which are rejected."""


class TextRules(Section):
    """Bounds checked on every sample's text, in characters."""

    max_question_chars: Count = 20_000
    """Characters of a question, or of a system text, at most."""
    max_answer_chars: Count = 20_000
    """Characters of an answer, at most."""
    min_answer_chars: Count = 1
    """Characters of an answer, at least."""
    boilerplate: bool = True
    """Reject answers that are the phrases of a chat model about itself, and such."""
    max_invisible_chars: Annotated[int, Field(ge=0)] | None = None
    """Soft hyphens, zero-width, tag and direction characters where typography has no use for them: a way to hide words. Text from the web has some by
    the dozen, so that by default (null) the samples that hold any are counted in the card and none is rejected; 0 takes text without any.
    """


class Duplicates(Section):
    """When two pictures, or two texts, are near-duplicates: of pictures by bits of the 64- and of the 256-bit perceptual hash, at most, per kind."""

    photo_bits: int = Field(7, ge=0, le=12)
    """Bits of 64 that the hashes of two photographs of one thing may differ in."""
    document_bits: int = Field(7, ge=0, le=12)
    """The same of documents, charts and drawings."""
    photo_bits_256: int = Field(64, ge=0, le=256)
    """Bits of 256 that the finer hashes of two photographs may differ in, which confirm what the short ones propose."""
    document_bits_256: int = Field(64, ge=0, le=256)
    """The same of documents, charts and drawings."""
    max_per_near_duplicate: Count | None = None
    """Samples kept about pictures that are near-duplicates of each other, at most; null: all."""
    text: Literal['flag', 'drop'] | None = None
    """Samples whose question and answer are nearly the same words (and whose pictures are the same stars, in their order), within and across sources:
    counted, or dropped beyond `max_per_near_text` of a cluster, lowest id hash first. null: nobody looks. docs/agreement.md says what is near.
    """
    text_jaccard: float = Field(0.85, ge=0.8, le=1)
    """Share of their runs of three words that two texts have in common, at least, to be near."""
    max_per_near_text: Count = 1
    """Samples kept of a cluster of near texts, where `text: drop`."""
    transforms: list[Literal['flip', 'turn', 'crop', 'border']] = []
    """Pictures that show each other flipped (mirrored), turned (by quarters), cropped (to four fifths of the area and more) or framed (border, bars)
    are near-duplicates, too. Every picture is opened and expanded for it: docs/copies.md says what that costs. []: nobody looks.
    """


class Benchmark(Section):
    """One evaluation set the mix must not contain."""

    name: Name
    """What it is called in cards and tables."""
    path: str
    """Its folder, below `root`."""
    format: Literal[
        'folder', 'sqa', 'ai2d', 'chartqa', 'seed', 'seed-2-plus', 'pope', 'hallusionbench', 'mme', 'mathvista', 'mmbench', 'mm-vet',
        'mm-vet-v2', 'llava-w', 'llava-wilder', 'blink', 'cv-bench', 'visualwebbench', 'mmstar', 'mathverse', 'mathvision'] = 'folder'
    """Its published layout, see docs/benchmarks.md."""
    columns: dict[Literal['id', 'question', 'answer', 'options', 'image'], str] = {}
    """For `folder`: fields that go by names of their own."""
    accept: list[Literal['parts', 'pictures', 'answers', 'options']] = []
    """What it may lack; without it, an incomplete one stops the build."""
    get_it: str = ''
    """Where it is to be had, printed when it is missing."""

    def fields(self) -> dict[str, str]:
        """Return the name of the field that is each role, where the recipe says it."""
        return {str(role): name for role, name in self.columns.items()}

    @model_validator(mode='after')
    def _names_fields_of_a_folder(self) -> 'Benchmark':
        if self.columns and self.format != 'folder':
            raise ValueError(f"columns: expected format 'folder' beside it, found {self.format!r}, whose fields are known; leave columns out")
        return self


class Contamination(Section):
    """How benchmark items are found in the mix and what is done about them."""

    benchmarks: list[Benchmark] = []
    """The benchmarks that are looked for; none: nobody looks."""
    action: Literal['drop', 'flag'] = 'drop'
    """drop: samples that stand in a benchmark are rejected; flag: they are kept and counted."""
    image_bits: int = Field(7, ge=0, le=12)
    """Bits of 64 that the hashes of a picture and of a benchmark's may differ in."""
    image_bits_256: int = Field(64, ge=0, le=256)
    """Bits of 256 of the finer hashes, which confirm what the short ones propose."""
    ngram_words: int = Field(8, ge=1, le=13)
    """Words in a run, by which texts are compared."""
    min_overlap: Fraction = 0.8
    """Share of a benchmark text's runs that must stand in a sample for it to be found."""
    paraphrases: Literal['flag', 'drop'] | None = None
    """Questions of text alone in other words: all numbers of a benchmark's question, half of its content words and its answer. flag: counted; drop:
    left out as `action: drop` does the others; null: nobody looks.
    """
    paraphrases_by_meaning: bool = False
    """Look for those in few of its words or in another language, too; needs the extra `paraphrase`."""
    min_recall: Fraction = 0.9
    """Of benchmark pictures that are planted flipped, turned, ...: a kind of which surely fewer are found again stops the build; 0: never."""

    @model_validator(mode='after')
    def _looks_for_what_it_compares(self) -> 'Contamination':
        if self.paraphrases_by_meaning and self.paraphrases is None:
            raise ValueError('paraphrases_by_meaning: expected paraphrases: flag or drop beside it, found none; say one of them, or leave it out')
        return self


class Mixture(Section):
    """What of the clean samples is kept, and how it is split."""

    licences: list[str] = []
    """Keep only sources under these (of 'A AND B' both must be named); empty: all."""
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}
    """source -> its part of the mix; names every source or none."""
    total: Count | None = None
    """Samples the weights share out; null: as many as the scarcest source allows."""
    category_quotas: dict[str, Count] = {}
    """category -> at most this many samples, after the sources' own quotas."""
    validation_fraction: Fraction = 0.0
    """Share that becomes the split `validation`, by image cluster: a picture is never in both splits."""
    shard_mb: int = Field(500, ge=1, le=500)
    """Megabytes of a file of the snapshot, at most, by bytes of images and text."""
    seed: str = 'phantom'
    """Text that orders rows and draws; another one gives another order."""
