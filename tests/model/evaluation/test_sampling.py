"""A sample of a benchmark is the same everywhere, fair to its parts, and never cuts what is scored together."""

from collections import Counter

from model.evaluation.sampling import draw_sample


def item(item_id: str, **meta) -> dict:
    return {'item_id': item_id, 'question': '?', 'options': [], 'answer': 'Yes', 'meta': meta}


POPE = [item(f'{part}/{number}', category=part) for part in ('adversarial', 'popular', 'random') for number in range(30)]


def test_the_sample_depends_on_ids_and_seed_alone_and_a_smaller_one_is_part_of_it():
    ids = draw_sample('pope', POPE, 12).ids
    assert draw_sample('pope', reversed(POPE), 12).ids == ids
    assert draw_sample('pope', POPE, 12, seed=1).ids != ids
    assert draw_sample('pope', POPE, 6).ids < ids
    assert draw_sample('mmstar', POPE, 12).ids != ids


def test_every_part_has_its_share_and_a_small_part_at_least_one():
    assert Counter(name.partition('/')[0] for name in draw_sample('pope', POPE, 15).ids) == {'adversarial': 5, 'popular': 5, 'random': 5}
    uneven = [*(item(f'IQ_Test/{number}', sub_task='IQ_Test') for number in range(99)), item('Jigsaw/0', sub_task='Jigsaw')]
    assert 'Jigsaw/0' in draw_sample('blink', uneven, 2).ids


def test_what_is_scored_together_is_drawn_together():
    mme = [item(f'count/{number}/{side}', category='count') for number in range(20) for side in (1, 2)]
    names = Counter(name.rpartition('/')[0] for name in draw_sample('mme', mme, 9).ids)
    assert set(names.values()) == {2}
    assert len(names) == 5  # at least as many items as asked
    circular = [item(f'dev/{turn * 1_000_000 + number}') for number in range(10) for turn in range(4)]
    turns = Counter(int(name.rpartition('/')[2]) % 1_000_000 for name in draw_sample('mmbench', circular, 8).ids)
    assert turns == dict.fromkeys(turns, 4)
    assert len(turns) == 2
    sets = [item(f'{number}', category='VS', subcategory='map', set_id=number // 5, figure_id=number % 5, question_id=0) for number in range(50)]
    assert set(Counter(int(name) // 5 for name in draw_sample('hallusionbench', sets, 10).ids).values()) == {5}


def test_more_than_there_is_is_all():
    found = draw_sample('pope', POPE, 10**6)
    assert (len(found.ids), found.as_record()) == (90, {'items': 90, 'of': 90, 'asked': 10**6, 'seed': 0, 'by': 'sha256 of seed, benchmark and item id'})
