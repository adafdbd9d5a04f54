from __future__ import annotations

import time

import pytest
import torch

from nasplug.bench import Measurement, compare_supernets, find_plain_supernet, measure, ratios
from nasplug.bench.timing import measure_peak_memory
from nasplug.builtin.darts import Darts
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.compose import compose, resolve
from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.testing.tape import TapeRecorder
from nasplug.values import ImageShape

CPU = torch.device("cpu")
KIB = 1024


def test_peak_memory_is_what_tensors_held_at_one_time():
    kept = []

    def step():
        first = torch.zeros(100 * KIB, dtype=torch.uint8)
        second = torch.zeros(50 * KIB, dtype=torch.uint8)
        del first
        kept.append(torch.zeros(30 * KIB, dtype=torch.uint8))
        del second

    assert measure_peak_memory(step, CPU) == 150 * KIB
    assert measure_peak_memory(step, CPU) == 150 * KIB  # what is held between steps does not count


def test_steps_take_turns():
    order = []

    def step(name, seconds):
        def run():
            order.append(name)
            time.sleep(seconds)

        return run

    fast, slow = measure([step("fast", 0.0), step("slow", 0.02)], CPU, repeats=4)

    assert order[-8:] == ["fast", "slow"] * 4
    assert len(fast.seconds) == len(slow.seconds) == 4
    assert min(slow.seconds) > 0.015


def test_the_ratio_is_the_median_over_neighbours():
    fast, reference = Measurement((1.0, 2.0, 4.0), 1), Measurement((3.0, 2.0, 8.0), 1)

    assert ratios(fast, reference) == (1.5, 2.0, 2.5)
    assert ratios(Measurement((2.0,), 1), Measurement((5.0,), 1)) == (2.5, 2.5, 2.5)
    assert fast.images_per_second(10) == 5.0


def test_a_plain_supernet_has_a_module_for_every_operation_and_weights_of_its_own():
    space = Darts(channels=4, cells=3)
    net = space.supernet(ImageShape(3, 8, 10))
    plain = space.plain_supernet(net)

    operations = [name for name, _ in plain.named_modules() if name.count(".") == 3 and ".operations." in name]
    assert len(operations) == 3 * 14 * 8
    before = net(torch.ones(2, 3, 8, 8))
    with torch.no_grad():
        for own, _ in plain.pair_layers(net):
            own.weight.zero_()
    assert torch.equal(net(torch.ones(2, 3, 8, 8)), before)


def test_a_space_without_a_plain_supernet_is_refused():
    space = MBConvSpace(blocks=("s1 1x4",), channels=4)

    with pytest.raises(InputError, match=r"no plain supernet of the space 'mbconv'.*--space darts"):
        find_plain_supernet(space, space.supernet(ImageShape(3, 8, 10)))


def test_steps_that_are_recorded_are_replayed_while_they_are_measured():
    caches = []

    def graph_cache():
        caches.append(GraphCache(TapeRecorder()))
        return caches[-1]

    recipe = resolve(load_plugins(), [{"run": {"method": "snps", "preset": "tiny"}}, {"space": {"nodes": 2}}])
    comparisons = compare_supernets(
        compose(load_plugins(), recipe),
        ImageShape(3, 8, 10),
        batch=4,
        device=CPU,
        bf16=False,
        graph_cache=graph_cache,
        deleted=0.5,
        repeats=2,
    )
    assert len(comparisons) == len(caches) == 2  # with all candidates and without half of them
    assert all(
        comparison.fast.peak_memory_bytes > 0 < comparison.reference.peak_memory_bytes for comparison in comparisons
    )
    assert [(cache.recorded, cache.replayed, cache.refused) for cache in caches] == [(1, 4, "")] * 2
