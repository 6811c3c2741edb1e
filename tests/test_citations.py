"""What a reader is pointed at is there: every .md file and every path of ours that code, recipes and docs name exists in the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ('schemas', 'curation', 'pipelines', 'model', 'tests', 'benchmarks', 'docs', 'recipes')
TEXTS = {'.py', '.md', '.yaml', '.toml', '.html', '.js', '.txt', ''}
FILES = sorted(path for name in (*FOLDERS, '.') for path in (ROOT / name).glob('**/*' if name != '.' else '*')
               if path.is_file() and path.suffix in TEXTS)  # fmt: skip
NAMED = re.compile(rf'(?<![\w/}}.-])(?:(?:{"|".join(FOLDERS)})/[\w/.-]+\.\w+|[\w/.-]+\.md)\b')
WRITTEN = {'README.md', 'LICENCES.md'}  # what programs write: cards, the demo's licences
FOREIGN = {'docs/Data.md', 'docs/Evaluation.md'}  # ShareGPT4V's, LLaVA's
OURS = tuple(f'{name}/' for name in FOLDERS)


def missing(text: str, folder: Path) -> list[str]:
    """Return what `text`, which stands in `folder`, names and does not exist there, at the root or in docs/.

    Prompts are the reader's own files: those in a folder prompts/, and whatever a test writes outside our folders.
    """
    found = {name for name in NAMED.findall(text) if name not in FOREIGN and Path(name).name not in WRITTEN and not name.startswith('prompts/')}
    found = {name for name in found if name.startswith(OURS)} if folder.is_relative_to(ROOT / 'tests') else found
    return sorted(name for name in found if not any((at / name).exists() for at in (ROOT, folder, ROOT / 'docs')))


def test_every_file_that_is_cited_exists():
    assert len(FILES) > 200
    lost = {str(path.relative_to(ROOT)): names for path in FILES
            if path != Path(__file__) and (names := missing(path.read_text('utf-8'), path.parent))}
    assert lost == {}


@pytest.mark.parametrize('text', ['as peers.md says', '(reference/stack.md)', 'see `docs/no.md`', 'in pipelines/steps.py: what', 'tests/golden/none.json'])
def test_a_file_that_is_not_there_is_told(text):
    assert len(missing(text, ROOT)) == 1
