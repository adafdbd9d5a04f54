from __future__ import annotations

import math
from itertools import product
from random import Random
from types import SimpleNamespace

import pytest
import torch

from nasplug.builtin.nb201 import NasBench201
from nasplug.engine.flatness import evaluate
from nasplug.errors import InputError
from nasplug.parts import Batch
from nasplug.runs.search_order import SearchOrder, alpha_score, order_by_rating, order_by_supernet
from nasplug.values import Genotype, ImageShape, Rated


def path(place: str, pick: str) -> Genotype:
    return Genotype("layered", {place: [pick]})


def test_all_combinations_of_rated_paths_are_scored_by_the_sum_of_their_ratings():
    ratings = {0: {"a": 0.5, "b": 0.1}, 1: {"a": 2.0, "b": 1.0, "c": 4.0}}
    rated = [
        Rated(block, path(f"p{block}", pick), rating) for block in (1, 0) for pick, rating in ratings[block].items()
    ]
    order = order_by_rating(rated)
    generator = Random(0)
    drawn = dict(order.draw(generator) for _ in range(200))

    assert drawn == {
        Genotype.join([path("p0", first), path("p1", second)]): pytest.approx(ratings[0][first] + ratings[1][second])
        for first, second in product("ab", "abc")
    }
    assert order.names == ("rating",)


def test_strata_cover_the_order_evenly():
    architectures = {path("p", str(number)): float(-number) for number in range(40)}
    order = SearchOrder("rating", lambda generator: generator.choice(list(architectures.items())), {})
    strata = order.draw_strata(8, Random(1))

    assert sorted(score for stratum in strata for _, score in stratum) == sorted(architectures.values())
    for number, stratum in enumerate(strata):
        assert len(stratum) == 5
        assert {int(-score) for _, score in stratum} == set(range(35 - 5 * number, 40 - 5 * number))
    assert strata == order.draw_strata(8, Random(1))


def test_too_few_architectures_are_refused():
    order = SearchOrder("alpha", lambda generator: (path("p", str(generator.randrange(3))), 0.0), {})
    with pytest.raises(InputError, match="an order of only 3 architectures, and 4 are asked for"):
        order.draw_strata(4, Random(0))
    nothing = SearchOrder("alpha", lambda _: None, {})
    with pytest.raises(InputError, match="only 0 architectures"):
        nothing.draw_strata(3, Random(0))


def test_the_score_of_alpha_is_minus_the_log_of_the_product_of_weights():
    weights = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
    held = torch.tensor([[True, False, True], [False, True, False]])
    assert alpha_score(weights, held) == pytest.approx(-math.log(0.5 * 0.25 * 0.9))
    assert alpha_score(weights, torch.zeros_like(held)) == 0


@pytest.fixture
def supernet():
    """A supernet in which two of three candidates of each choice are left, and a run that has searched with it."""
    torch.manual_seed(0)
    space = NasBench201(operations=("skip_connect", "nor_conv_1x1", "avg_pool_3x3"), channels=2, cells=1)
    net = space.supernet(ImageShape(channels=1, size=4, classes=3))
    with torch.no_grad():
        net.choices.alpha.copy_(torch.randn(net.choices.alpha.shape))
    doomed = torch.zeros_like(net.choices.kept)
    doomed[:, 2] = True
    net.choices.delete(doomed)
    net.choices.refresh()
    batch = Batch(torch.randn(12, 1, 4, 4), torch.arange(12) % 3)
    context = SimpleNamespace(
        composition=SimpleNamespace(space=space, optimizer=SimpleNamespace(learns_alpha=True)),
        splits=SimpleNamespace(train=range(12), validation=range(12)),
        sample_batches=lambda indices, count, size, *words: iter([batch]),
    )
    return context, net, batch


def test_alpha_orders_the_architectures_that_are_left_in_the_supernet(supernet):
    context, net, _ = supernet
    order = order_by_supernet(context, net)
    assert order.names == ("alpha", "supernet")
    weights, space = net.choices.weights().detach(), context.composition.space
    generator, drawn = Random(0), []
    for _ in range(30):
        genotype, score = order.draw(generator)
        columns = [space.operations.index(picked) for _, (picked,) in genotype.picks]
        assert 2 not in columns  # what was deleted
        assert score == pytest.approx(-sum(math.log(weights[row, column]) for row, column in enumerate(columns)))
        drawn.append(genotype)
    assert len(set(drawn)) > 10


def test_an_architecture_is_evaluated_alone_and_leaves_the_supernet_as_it_was(supernet):
    context, net, batch = supernet
    genotype, _ = (order := order_by_supernet(context, net)).draw(Random(2))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    error = order.computed["supernet"](genotype)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())

    mask = context.composition.space.encode(genotype, net.choices)
    with net.choices.only(mask):
        assert error == evaluate(net, lambda: [batch], lambda: [batch])[1]


def test_without_alpha_only_the_supernet_orders(supernet):
    context, net, _ = supernet
    context.composition.optimizer.learns_alpha = False
    order = order_by_supernet(context, net)
    assert order.names == ("supernet",)
    assert order.draw(Random(0))[1] == 0
