"""Triples whose answers first differ behind the place where a trainer cuts them: for it both sides are the same."""

from curation.verdicts.lateness import differs_at, words_in
from pipelines.snapshot.mix_rows import text_of
from pipelines.snapshot.rows import each_row, splits_of
from schemas.snapshot import Snapshot

# Tokens of prompt, pictures and answer together that are kept where nobody says otherwise, and the setting that says so: TRL's DPOConfig (seen in
# 1.16), LLaMA-Factory's data arguments (0.9.5), OpenRLHF's train_dpo (0.11.2). ms-swift and axolotl leave longer rows out.
CUTS = {
    'trl': ('max_length', 1024), 'llama-factory': ('cutoff_len', 2048), 'openrlhf': ('--data.max_len', 512),
    'jsonl': ('the cut', 1024), 'webdataset': ('the cut', 1024),
}  # fmt: skip
WORDS_A_TOKEN = 0.75  # of English prose; formulas and other languages have fewer


def count_late(snapshot: Snapshot, tokens: int) -> int:
    """Return how many triples have their first difference, with the prompt before it, behind so many tokens of text."""
    words = int(tokens * WORDS_A_TOKEN)
    columns = ['prompt', 'chosen', 'rejected']
    return sum(_is_late(row, words) for split in splits_of(snapshot) for row in each_row(snapshot, split, columns))


def _is_late(row: dict, words: int) -> bool:
    prompt, chosen = '\n'.join(map(text_of, row['prompt'])), text_of(row['chosen'][0])
    return len(prompt) + len(chosen) >= words and words_in(prompt) + differs_at(chosen, text_of(row['rejected'][0])) >= words


def warning(target: str, late: int) -> str:
    """Return what a person must know about so many late triples in an export, '' for none."""
    if not late:
        return ''
    setting, tokens = CUTS[target]
    return (f'{late:,} row(s) differ only behind about {tokens:,} tokens of text, where {setting} cuts by default: both answers are the same there. '
            f'Raise {setting}, or build with a smaller triples.differ_within')  # fmt: skip
