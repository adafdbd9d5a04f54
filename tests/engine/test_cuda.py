"""The same on a GPU, where there is one."""

from __future__ import annotations

import pytest
import torch

from nasplug.engine import EagerRunner
from nasplug.engine.ahead.cuda_graphs import CudaGraphRecorder
from tests.engine.searches import SEARCHES, ahead, assert_same, carried_out

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize(("poll", "recorded"), [(1, False), (4, False), (16, True)])
def test_a_gpu_searches_as_a_cpu_does(name, poll, recorded):
    device = torch.device("cuda:0")
    plain, quick = SEARCHES[name](), SEARCHES[name](device)
    expected = carried_out(plain, EagerRunner())
    runner = ahead(poll, CudaGraphRecorder(device) if recorded else None)
    found = carried_out(quick, runner)
    assert_same(plain, expected, quick, found)
    if recorded:
        assert not runner.graph_cache.refused
        assert runner.graph_cache.replayed > 5


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("recorded", [False, True])
def test_between_two_reads_the_host_does_not_wait(name, recorded):
    made = SEARCHES[name](torch.device("cuda:0"))
    runner = ahead(16, CudaGraphRecorder(made.device) if recorded else None)
    made.begin(torch.Generator().manual_seed(1))
    for step in range(3):  # what is set up once may wait: caches, the recording
        runner.make_step(made, made.clock.at(step))
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(3, 6):
            runner.make_step(made, made.clock.at(step))
    finally:
        torch.cuda.set_sync_debug_mode("default")
