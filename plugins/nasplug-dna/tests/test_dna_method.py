from __future__ import annotations

import attrs
import pytest
import torch
from nasplug_dna.blockwise import Blockwise, count_blocks, count_cells
from nasplug_dna.method import DNA
from nasplug_dna.torchvision_networks import build_network, cut, find_block_ends

from nasplug.builtin.compact import Compact
from nasplug.builtin.mbconv import MBConvSpace
from nasplug.builtin.mbconv.choices import read_blocks
from nasplug.builtin.mbconv.layout import Widths, make_stem_layout, make_supernet_layout
from nasplug.builtin.optimizers.single_path import SinglePath
from nasplug.builtin.selectors.rating import Rating
from nasplug.values import ImageShape, MapShape, StepClock
from nasplug.values.options import build
from nasplug.values.recipe import RetrainOptions, SearchOptions, SelectOptions

PAPER = DNA.presets[DNA.paper]


@pytest.mark.parametrize("preset", DNA.presets)
def test_every_option_of_every_preset_fits(preset: str) -> None:
    space = dict(DNA.presets[preset].get("space", {}))
    kinds: dict[str, type] = {
        "space": {"compact": Compact, "mbconv": MBConvSpace}[space.pop("part", DNA.space)],
        "optimizer": SinglePath,
        "selector": Rating,
        "teacher": Blockwise,
        "search": SearchOptions,
        "retrain": RetrainOptions,
        "select": SelectOptions,
    }
    parts = {
        name: build(
            kind,
            {**DNA.options.get(name, {}), **(space if name == "space" else DNA.presets[preset].get(name, {}))},
            name,
        )
        for name, kind in kinds.items()
    }
    teacher = parts["teacher"]
    if teacher.model:
        teacher = attrs.evolve(teacher, weights="random")  # a file has to be named
    teacher.check(parts["space"])
    parts["optimizer"].check(parts["space"], parts["search"])


def test_blocks_learn_at_the_papers_rates() -> None:
    search = build(SearchOptions, {**DNA.options["search"], **PAPER["search"]}, "search")
    assert [search.lr * factor for factor in PAPER["teacher"]["rates"]] == [0.002, 0.005, 0.005, 0.005, 0.005, 0.002]
    clock = StepClock(steps_per_epoch=3, epochs=search.epochs)
    assert search.rate(clock.at(2)) == search.lr
    for epoch in range(20):
        assert search.rate(clock.at(3 * epoch)) == pytest.approx(0.005 * 0.9**epoch)
    assert (search.epochs, search.batch_size, search.weight_decay, search.decay_norms) == (20, 512, 1e-4, False)


def test_every_cell_of_the_paper_learns_for_twenty_epochs() -> None:
    """In the released code a supernet has one cell for each block, which learns alone in each of its 20 epochs."""
    search = build(SearchOptions, {**DNA.options["search"], **PAPER["search"]}, "search")
    space, teacher = MBConvSpace(**PAPER["space"] | {"blocks": tuple(PAPER["space"]["blocks"])}), PAPER["teacher"]
    assert teacher["epochs_per"] == "cell"
    cells = count_cells(space.choice_list())
    lengths = [cells.get(block, 1) for block in range(count_blocks(space))]
    assert lengths == [3, 3, 3, 3, 3, 1]
    for length in lengths:
        training = search.with_epochs(length * search.epochs)
        clock = StepClock(steps_per_epoch=3, epochs=training.epochs)
        assert clock.epochs / length == 20
        # After e epochs of a cell, that is `length` times as many of the block, the rate is 0.9^e.
        rates = [training.rate(clock.at(3 * length * epoch)) for epoch in range(20)]
        assert rates == pytest.approx([0.005 * 0.9**epoch for epoch in range(20)])


def test_the_doubled_last_layer_meets_efficientnet_b7_without_adaptors() -> None:
    shape, widths = ImageShape(3, 224, 1000), Widths(32, None)
    cells = read_blocks(tuple(PAPER["space"]["blocks"]))
    stem = make_stem_layout("imagenet", widths, shape)
    layout = make_supernet_layout(stem, cells, widths, shape.classes, doubled=True)
    name = PAPER["teacher"]["model"]
    network = cut(build_network(name, empty=True), name, find_block_ends(name, len(cells))).eval()
    maps = network(torch.zeros(1, 3, 224, 224, device="meta")).values()
    assert tuple(MapShape(feature.shape[1], feature.shape[2]) for feature in maps) == layout.outputs


def test_every_path_of_the_papers_blocks_is_rated() -> None:
    space = MBConvSpace(blocks=tuple(PAPER["space"]["blocks"]))
    counts = [space.paths(block).count for block in range(count_blocks(space))]
    assert max(counts) == 6**4 + 2 * 6**5 <= PAPER["selector"]["limit"]
