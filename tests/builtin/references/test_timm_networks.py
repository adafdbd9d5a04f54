"""Networks of timm, with a small module in its place."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from nasplug.builtin.references.timm_networks import TimmReference
from nasplug.errors import InputError
from nasplug.values import ImageShape

SHAPE = ImageShape(channels=1, size=8, classes=3)


def create_model(name, pretrained, in_chans, num_classes=7):
    if pretrained:
        raise OSError("no network")
    pool = nn.AdaptiveAvgPool2d(1) if name == "tinynet" else nn.AvgPool2d(224)
    return nn.Sequential(nn.Conv2d(in_chans, 4, 3), nn.BatchNorm2d(4), pool, nn.Flatten(), nn.Linear(4, num_classes))


@pytest.fixture
def timm(monkeypatch):
    names = ["tinynet", "hugenet"]
    module = SimpleNamespace(is_model=names.__contains__, list_models=lambda: names, create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", module)


def test_a_network_of_timm_is_a_network_for_these_images_and_classes(timm):
    torch.manual_seed(0)
    net = TimmReference(model="tinynet").network(SHAPE)
    torch.manual_seed(0)
    plain = create_model("tinynet", False, 1, 3)
    assert net.training
    images = torch.randn(5, 1, 8, 8)
    assert torch.equal(net.eval()(images), plain.eval()(images))
    assert net.outputs(images).taps == ()


def test_finding_out_whether_it_takes_the_images_leaves_statistics_alone(timm):
    net = TimmReference(model="tinynet").network(SHAPE)
    assert net.net[1].num_batches_tracked == 0


def test_it_has_one_width_alone(timm):
    reference = TimmReference(model="tinynet")
    assert reference.scaled(1.0) == reference
    assert reference.widths() == [1.0]
    assert reference.size() == {"model": "tinynet"}
    with pytest.raises(InputError, match=r"one width, 1, but it was to be 0.5"):
        reference.scaled(0.5)


def test_an_unknown_name_is_refused_with_a_near_one(timm):
    with pytest.raises(InputError, match=r"timm has no network 'tinynets'. Did you mean 'tinynet'\?"):
        TimmReference(model="tinynets").network(SHAPE)
    with pytest.raises(InputError, match=r"timm has no network ''.*timm:NAME"):
        TimmReference().network(SHAPE)


def test_a_network_that_cannot_take_the_images_is_refused(timm):
    with pytest.raises(InputError, match="'hugenet' of timm does not classify images of 8x8 pixels with 1 channels"):
        TimmReference(model="hugenet").network(SHAPE)


def test_without_timm_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"need the package timm.*pip install 'nasplug\[timm\]'"):
        TimmReference(model="tinynet").network(SHAPE)


def test_training_starts_from_the_weights_of_a_file_where_they_fit(timm, tmp_path):
    other = create_model("tinynet", False, 1, 7)  # as many channels, other classes
    torch.save(other.state_dict(), tmp_path / "w.pth")
    reference = TimmReference(model="tinynet", weights=str(tmp_path / "w.pth"))
    net = reference.network(SHAPE)
    classifier = net.net[4].weight.clone()
    reference.load_weights(net)

    assert torch.equal(net.net[0].weight, other[0].weight)
    assert torch.equal(net.net[4].weight, classifier)
    assert reference.size() == {"model": "tinynet"}  # a network is built again without the file


def test_weights_of_another_network_and_code_are_refused(timm, tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "w.pth")
    torch.save(create_model("tinynet", False, 1, 3), tmp_path / "code.pth")
    for name, reason in (("w.pth", "are not of the network 'tinynet'"), ("code.pth", "code in it is never run")):
        reference = TimmReference(model="tinynet", weights=str(tmp_path / name))
        with pytest.raises(InputError, match=reason):
            reference.load_weights(reference.network(SHAPE))
    reference = TimmReference(model="tinynet", weights=str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match="There is no file of weights"):
        reference.load_weights(reference.network(SHAPE))


def test_weights_that_cannot_be_fetched_are_refused(timm):
    reference = TimmReference(model="tinynet", weights="pretrained")
    with pytest.raises(InputError, match=r"cannot fetch the weights of 'tinynet' \(.*no network"):
        reference.load_weights(reference.network(SHAPE))
