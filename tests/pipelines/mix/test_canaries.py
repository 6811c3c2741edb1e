import pytest

from pipelines.mix.canaries import Recall, refuse_misses
from schemas.errors import UserError
from schemas.recipe import Contamination
from tests.pipelines.mix.mixes import build
from tests.programmes.project import write_project

BLIND = ('contamination.image_bits=0', 'contamination.image_bits_256=0')


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp('small'))


def test_every_build_plants_canaries_and_says_how_many_were_found(project, tmp_path, capsys):
    mix, _ = build(project, tmp_path / 'out', tmp_path / 'work')
    recalls = {entry['kind']: Recall(**entry) for entry in mix.manifest['canaries']}
    # 62 pictures, 20 of them (the charts) of 64 px or more and none of 128: no half is planted.
    planted = {kind: recalls[kind].planted for kind in ('copy', 'jpeg_q30', 'crop_5', 'text_copy', 'text_reformatted')}
    assert planted == {'copy': 62, 'jpeg_q30': 20, 'crop_5': 16, 'text_copy': 64, 'text_reformatted': 64}
    assert all(recall.found == recall.planted for recall in recalls.values() if recall.must)
    assert 'flip' not in recalls, 'copies in other shapes are planted on their own'
    assert recalls['text_in_instruction'].found == 64, 'all questions are longer than a word run'
    told = capsys.readouterr().out
    assert 'canaries' in told
    assert '| jpeg_q30 | 20 | 20 | 1.00 | must be found |' in (mix.path / 'README.md').read_text()


def test_a_build_that_would_miss_its_benchmarks_fails_and_says_what_to_change(project, tmp_path):
    with pytest.raises(UserError, match=r'jpeg_q30 \d+ of 20.*contamination.image_bits 0.*raise the bits'):
        build(project, tmp_path / 'out', tmp_path / 'work', *BLIND)
    assert not (tmp_path / 'out' / 'mix').exists()


def test_without_a_benchmark_nothing_depends_on_the_canaries(project, tmp_path):
    mix, _ = build(project, tmp_path / 'out', tmp_path / 'work', *BLIND, 'contamination.benchmarks=[]')
    assert [entry for entry in mix.manifest['canaries'] if entry['must'] and entry['found'] < entry['planted']]


@pytest.mark.parametrize(('planted', 'found', 'fails'), [(64, 61, False), (64, 60, True), (20, 19, False), (20, 18, True), (12, 11, False),
                                                         (9, 8, True), (9, 9, False), (100, 95, False), (100, 94, True)])  # fmt: skip
def test_a_twentieth_may_be_missed_and_of_ten_one(planted, found, fails):
    assert Recall('half', planted, found, must=True).failed == fails
    assert not Recall('crop_5', planted, 0, must=False).failed
    if fails:
        with pytest.raises(UserError, match=f'half {found} of {planted}'):
            refuse_misses([Recall('half', planted, found, must=True)], Contamination())
