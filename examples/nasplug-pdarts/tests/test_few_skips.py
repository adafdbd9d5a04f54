"""The selector: the weakest skip connections of the normal cell give way."""

from __future__ import annotations

import pytest
import torch
from nasplug_pdarts.few_skips import FewSkips

from nasplug.errors import InputError
from nasplug.parts import SearchState
from nasplug.plugins import load_plugins
from nasplug.values import ImageShape

SHAPE = ImageShape(1, 8, 3)
SKIP, CONVOLUTION = "skip_connect", "sep_conv_3x3"


def state_of(
    alphas: dict[str, tuple[float, ...]], kept: dict[str, tuple[bool, ...]] | None = None, **options
) -> SearchState:
    """A supernet of two nodes whose candidates none, skip and convolution have these alphas on the edges named."""
    plugins = load_plugins()
    darts = plugins.resolve(plugins.find("space", "darts"))
    space = darts(operations=("none", SKIP, CONVOLUTION), cells=3, channels=2, nodes=2, **options)
    net = space.supernet(SHAPE)
    with torch.no_grad():
        for row, choice in enumerate(net.choices):
            net.choices.alpha[row] = torch.tensor(alphas.get(choice.name, (0.0, 5.0, 0.0)))
            if kept and choice.name in kept:
                net.choices.kept[row] = torch.tensor(kept[choice.name])
    net.choices.refresh()
    return SearchState(space, SHAPE, net, (), lambda split, count: iter(()), seed=0)


def found(state: SearchState, most: int):
    (event,) = FewSkips(most=most).select(state)
    return event


NORMAL = {
    "normal/2<-0": (9.0, 4.0, 1.0),
    "normal/2<-1": (0.0, 3.0, 2.0),
    "normal/3<-0": (0.0, 5.0, 1.0),
    "normal/3<-1": (0.0, 2.0, 1.9),
    "normal/3<-2": (0.0, 1.0, 3.0),
}


@pytest.mark.parametrize(
    ("most", "second", "third"),
    [
        # Weights of skips by softmax: about 0.007 on 2<-0 (none has nearly all), 0.705 on 2<-1, 0.976 on 3<-0, 0.488 on
        # 3<-1. Node 3 has 3<-0 and 3<-2 to begin with, so there are three skips.
        (3, ((SKIP, 0), (SKIP, 1)), ((SKIP, 0), (CONVOLUTION, 2))),
        (2, ((CONVOLUTION, 0), (SKIP, 1)), ((SKIP, 0), (CONVOLUTION, 2))),
        (1, ((CONVOLUTION, 0), (CONVOLUTION, 1)), ((SKIP, 0), (CONVOLUTION, 2))),
        # Without that on 3<-0 its place goes to 3<-1, whose skip gives way to its convolution at last.
        (0, ((CONVOLUTION, 0), (CONVOLUTION, 1)), ((CONVOLUTION, 1), (CONVOLUTION, 2))),
    ],
)
def test_the_weakest_skips_give_way_one_after_the_other(most, second, third) -> None:
    event = found(state_of(NORMAL), most)
    expected = {
        f"normal/{node}": {f"{operation}@{source}" for operation, source in picks}
        for node, picks in ((2, second), (3, third))
    }
    picks = {place: set(texts) for place, texts in event.genotype.picks if place in expected}
    assert picks == expected
    assert event.measures == {"skips": min(most, 3)}


def test_reduction_cells_are_left_as_they_are() -> None:
    picks = dict(found(state_of(NORMAL), 0).genotype.picks)
    assert all(text.startswith(SKIP) for text in (*picks["reduce/2"], *picks["reduce/3"]))


def test_it_says_so_where_nothing_but_skips_is_left() -> None:
    only = dict.fromkeys(NORMAL, (False, True, False))
    assert found(state_of(NORMAL, kept=only), 1).measures == {"skips": 4}


def test_the_supernet_is_left_as_it_was() -> None:
    state = state_of(NORMAL)
    before = {name: value.clone() for name, value in state.net.state_dict().items()}
    found(state, 0)
    assert all(torch.equal(value, before[name]) for name, value in state.net.state_dict().items())


def test_spaces_without_such_cells_are_refused() -> None:
    plugins = load_plugins()
    with pytest.raises(InputError, match="take --selector decoded"):
        FewSkips().check(plugins.resolve(plugins.find("space", "mbconv"))())
    darts = plugins.resolve(plugins.find("space", "darts"))
    FewSkips().check(darts())
    FewSkips().check(darts(choices="node", operations=("nadd3",)))
    with pytest.raises(InputError, match="topology=per-type"):
        FewSkips().check(darts(topology="per-cell"))
