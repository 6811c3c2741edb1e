"""References without the folders of another machine."""

import pytest

from curation.rows.references import strip_prefix


@pytest.mark.parametrize(('reference', 'prefix'), [
    ('data/imgs/1.png', './data/'), ('./data/imgs/1.png', 'data'), ('./data/imgs/1.png', './data'), ('data/imgs/1.png', '.\\data'),
    ('.\\data\\imgs\\1.png', 'data/'), ('imgs/1.png', './'), ('./imgs/1.png', ''),
])  # fmt: skip
def test_a_dot_for_this_folder_is_no_part_of_a_path(reference, prefix):
    assert strip_prefix(reference, [prefix]) == 'imgs/1.png'


def test_a_prefix_of_a_dot_alone_keeps_an_absolute_path_absolute():
    assert strip_prefix('/etc/passwd', ['./']) == '/etc/passwd'
