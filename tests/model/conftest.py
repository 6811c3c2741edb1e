"""One thread a process: at these sizes more gain nothing, and on a busy machine they wait for each other."""

import pytest
import torch


@pytest.fixture(autouse=True, scope='session')
def _one_thread():
    torch.set_num_threads(1)
