"""Networks of torchvision as reference networks, and the weights that they can start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torchvision import models

from nasplug.builtin.references.torchvision_networks import TorchvisionReference
from nasplug.errors import InputError
from nasplug.values import ImageShape

NAME = "squeezenet1_1"
COLOUR = ImageShape(channels=3, size=32, classes=4)


@pytest.fixture(scope="module")
def published():
    torch.manual_seed(0)
    return models.get_model(NAME, weights=None)


@pytest.fixture(scope="module")
def weights(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.pth"
    torch.save(published.state_dict(), path)
    return path


def loaded(path, shape=COLOUR, model=NAME):
    reference = TorchvisionReference(model=model, weights=str(path))
    net = reference.network(shape)
    before = {name: value.clone() for name, value in net.net.state_dict().items()}
    reference.load_weights(net)
    return net.net.state_dict(), before


def test_it_is_the_network_of_torchvision_for_these_classes():
    torch.manual_seed(0)
    net = TorchvisionReference(model="mobilenet_v3_small").network(COLOUR)
    torch.manual_seed(0)
    plain = models.get_model("mobilenet_v3_small", weights=None, num_classes=4)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net.eval()(images), plain.eval()(images))
    for channels in (1, 4):
        grey = TorchvisionReference(model="mobilenet_v3_small").network(ImageShape(channels, 32, 4)).eval()
        assert grey(torch.randn(2, channels, 32, 32)).shape == (2, 4)
        assert grey.net.features[0][0].stride == (2, 2)


def test_a_classifier_of_other_classes_keeps_its_initial_weights(published, weights):
    state, before = loaded(weights)
    for name, value in published.state_dict().items():
        changed = name.startswith("classifier.1")
        assert torch.equal(state[name], before[name] if changed else value)
        assert changed or not torch.equal(state[name], before[name]) or "bias" in name


def test_grey_images_are_seen_as_equal_colours(published, weights):
    reference = TorchvisionReference(model=NAME, weights=str(weights))
    grey = reference.network(ImageShape(1, 32, 1000))
    reference.load_weights(grey)
    images = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        expected = published.eval()(images.expand(2, 3, 32, 32))
        torch.testing.assert_close(grey.eval()(images), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match=r"of another form: features\.0\.weight"):
        loaded(weights, ImageShape(4, 32, 4))


def test_files_of_heads_of_their_own_and_of_wrapped_networks_are_understood(published, tmp_path):
    state = {f"module.{name}": value.half() for name, value in published.state_dict().items()}
    state["module.classifier.1.0.weight"] = torch.zeros(2)
    del state["module.classifier.1.weight"]
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pth")
    found, _ = loaded(tmp_path / "w.pth")
    torch.testing.assert_close(found["features.0.weight"], published.state_dict()["features.0.weight"].half().float())


def test_weights_of_another_network_are_refused_with_the_first_difference(published, tmp_path):
    state = published.state_dict()
    name = "features.3.squeeze.weight"
    for number, (other, reason) in enumerate(
        [
            ({key: value for key, value in state.items() if key != name}, f"missing: {name}"),
            ({**state, name: torch.zeros(3)}, f"of another form: {name}"),
            ({**state, name: state[name].to(torch.complex64)}, f"of another form: {name}"),
            ({**state, "features.99.weight": torch.zeros(3)}, "it also holds features.99.weight"),
        ]
    ):
        torch.save(other, tmp_path / f"{number}.pth")
        with pytest.raises(InputError, match=rf"not of the network '{NAME}' of torchvision \({reason}\)"):
            loaded(tmp_path / f"{number}.pth")
    deeper = models.get_model("resnet34", weights=None).state_dict()
    torch.save({key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in deeper.items()},
               tmp_path / "deeper.pth")  # fmt: skip
    with pytest.raises(InputError, match=r"not of the network 'resnet18' .*it also holds layer1.2.conv1.weight"):
        loaded(tmp_path / "deeper.pth", model="resnet18")


def test_weights_that_are_broken_are_refused(published, weights, tmp_path):
    state = {name: value.clone() for name, value in published.state_dict().items()}
    state["features.0.bias"][2] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:10_000])
    for name, reason in (("nan.pth", "hold NaN or infinity in 'features.0.bias'"), ("cut.pth", "file is damaged")):
        with pytest.raises(InputError, match=reason):
            loaded(tmp_path / name)


def test_unknown_names_are_refused_with_a_near_one():
    for ask in (lambda reference: reference.network(COLOUR), lambda reference: reference.normalisation()):
        with pytest.raises(InputError, match=r"torchvision has no network 'resnet-18'. Did you mean 'resnet18'"):
            ask(TorchvisionReference(model="resnet-18"))


def test_published_weights_are_for_images_of_their_own_statistics():
    assert TorchvisionReference(model="resnet18").normalisation() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert TorchvisionReference(model="efficientnet_v2_l").normalisation() == ((0.5,) * 3, (0.5,) * 3)


def test_published_weights_are_read_as_tensors_alone(monkeypatch, published, weights, tmp_path):
    class Code:
        def __reduce__(self):
            return Path.touch, (tmp_path / "it ran",)

    torch.save({"features.0.weight": Code()}, tmp_path / "code.pth")

    def serve(path):
        """What torchvision's own loader does with the file, in which code would be run."""
        monkeypatch.setattr(
            "torchvision.models._api.load_state_dict_from_url", lambda url, **_: torch.load(path, weights_only=False)
        )

    serve(weights)
    state, _ = loaded("pretrained")
    assert torch.equal(state["features.0.weight"], published.state_dict()["features.0.weight"])
    serve(tmp_path / "code.pth")
    with pytest.raises(InputError, match=rf"torchvision cannot fetch the weights of '{NAME}'"):
        loaded("pretrained")
    assert not (tmp_path / "it ran").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


def test_weights_that_cannot_be_fetched_are_refused(monkeypatch):
    def unreachable(url, **options):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(InputError, match=rf"torchvision cannot fetch the weights of '{NAME}' \(.*no network"):
        loaded("pretrained")
