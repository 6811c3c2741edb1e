"""Two threads a process: the suite shares its machine, and more gain nothing at these sizes."""

import pytest
import torch


@pytest.fixture(autouse=True, scope='session')
def _two_threads():
    torch.set_num_threads(2)
