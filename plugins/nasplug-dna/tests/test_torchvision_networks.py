from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from nasplug_dna.frozen_teacher import freeze
from nasplug_dna.torchvision_networks import build_network, cut, find_block_ends, load_network
from safetensors.torch import save_file
from torch import nn
from torchvision import models
from torchvision.models.convnext import CNBlockConfig

from nasplug.errors import InputError
from nasplug.parts import read_weights
from nasplug.values import ImageShape

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY = ImageShape(1, 32, 10, mean=(0.3,), std=(0.2,))
TAPS = ("layer1", "layer2", "layer4")


@pytest.fixture(scope="module")
def resnet() -> models.ResNet:
    torch.manual_seed(0)
    return models.resnet18().eval()


@pytest.fixture(scope="module")
def weights(resnet: models.ResNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet.state_dict(), path)
    return path


def test_taps_of_a_library_network(resnet: models.ResNet, weights: Path) -> None:
    network = load_network("resnet18", TAPS, str(weights), GREY, MEAN, STD)
    freeze(network, "eval")
    pixels = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        features = network((pixels - 0.3) / 0.2, 2)
        colour = (pixels.expand(2, 3, 32, 32) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(colour))))
        for number, layer in enumerate((resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4)):
            x = layer(x)
            if number != 2:
                torch.testing.assert_close(features[min(number, 2)], x, rtol=1e-4, atol=1e-4)
        short = network((pixels - 0.3) / 0.2, 0)
    assert len(short) == 1
    torch.testing.assert_close(short[0], features[0])
    assert len(list(network.cuts[0].modules())) < len(list(network.cuts[2].modules()))
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_come_from_safetensors_or_from_within_a_checkpoint(
    resnet: models.ResNet, weights: Path, tmp_path: Path
) -> None:
    state = {name: value for name, value in resnet.state_dict().items() if "num_batches" not in name}
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pt")
    plain = read_weights(weights)
    for name in ("w.safetensors", "w.pt"):
        weights = read_weights(tmp_path / name)
        assert all(torch.equal(value, plain[key]) for key, value in weights.items())
        load_network("resnet18", TAPS, str(tmp_path / name), GREY, MEAN, STD)


def test_weights_that_do_not_fit_are_refused(resnet: models.ResNet, weights: Path, tmp_path: Path) -> None:
    state = resnet.state_dict()
    torch.save(
        {name: value for name, value in state.items() if not name.startswith("layer2.0.conv1")}, tmp_path / "a.pth"
    )
    torch.save({**state, "conv1.weight": torch.zeros(3, 3)}, tmp_path / "b.pth")
    torch.save(torch.zeros(3), tmp_path / "c.pth")
    torch.save(Path, tmp_path / "d.pth")
    (tmp_path / "e.pth").write_text("nonsense")
    (tmp_path / "f.pth").write_text("hello world\n")  # reads as a pickle that refers to what it has not got
    torch.save({**state, "conv1.weight": state["conv1.weight"].to(torch.complex64)}, tmp_path / "g.pth")
    (tmp_path / "e.safetensors").write_text("nonsense")
    for name, reason in [
        ("a.pth", r"do not fit 'resnet18'.*layer2.0.conv1"),
        ("b.pth", r"do not fit 'resnet18'.*conv1.weight"),
        ("c.pth", "holds a Tensor"),
        ("d.pth", "cannot be read"),
        ("e.pth", "cannot be read"),
        ("e.safetensors", "cannot be read"),
        ("f.pth", "cannot be read"),
        ("g.pth", r"do not fit 'resnet18'.*torch.complex64"),
        ("missing.pth", "There is no file"),
    ]:
        with pytest.raises(InputError, match=reason):
            load_network("resnet18", TAPS, str(tmp_path / name), GREY, MEAN, STD)
    with pytest.raises(InputError, match="3 colours"):
        load_network("resnet18", TAPS, str(weights), ImageShape(4, 32, 10), MEAN, STD)


@pytest.mark.parametrize(
    ("file_of", "name"), [("efficientnet_b1", "efficientnet_b0"), ("resnet101", "resnet50"), ("resnet34", "resnet18")]
)
def test_weights_of_a_deeper_network_are_refused(file_of: str, name: str, tmp_path: Path) -> None:
    state = build_network(file_of, empty=True).state_dict()
    torch.save({key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in state.items()},
               tmp_path / "w.pth")  # fmt: skip
    taps = find_block_ends(name, 1)
    with pytest.raises(InputError, match=rf"do not fit '{name}' \(it also holds .* and \d+ more\)"):
        load_network(name, taps, str(tmp_path / "w.pth"), GREY, MEAN, STD)


def test_what_lies_behind_the_last_tap_may_differ(resnet: models.ResNet, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in resnet.state_dict().items()}
    state |= {"module.fc.1.weight": torch.zeros(3, 3), "module.layer4.5.conv1.weight": torch.zeros(1)}
    del state["module.fc.bias"]
    torch.save({"state_dict": state}, tmp_path / "w.pth")
    network = load_network("resnet18", TAPS[:2], str(tmp_path / "w.pth"), GREY, MEAN, STD)
    loaded = network.state_dict()["cuts.1.layer2.1.conv2.weight"]
    assert torch.equal(loaded, resnet.layer2[1].conv2.weight)
    with pytest.raises(InputError, match=r"it also holds layer4.5.conv1.weight"):
        load_network("resnet18", TAPS, str(tmp_path / "w.pth"), GREY, MEAN, STD)
    torch.save(resnet.state_dict() | {"projector.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"it also holds projector.weight"):
        load_network("resnet18", TAPS, str(tmp_path / "w.pth"), GREY, MEAN, STD)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(resnet: models.ResNet, tmp_path: Path, value: float) -> None:
    state = {key: tensor.clone() for key, tensor in resnet.state_dict().items()}
    state["layer2.0.bn1.running_var"][3] = value
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"not finite \(layer2.0.bn1.running_var\)"):
        load_network("resnet18", TAPS, str(tmp_path / "w.pth"), GREY, MEAN, STD)
    load_network("resnet18", TAPS[:1], str(tmp_path / "w.pth"), GREY, MEAN, STD)


def test_code_in_a_file_of_weights_is_never_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "it ran",)

    torch.save({"conv1.weight": Code()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Code()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(InputError, match="holds more than tensors"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "it ran").exists()


def test_weights_in_half_precision_count_in_the_network_s_own(resnet: models.ResNet, tmp_path: Path) -> None:
    state = resnet.state_dict()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    torch.save(halves, tmp_path / "half.pth")
    network = load_network("resnet18", TAPS, str(tmp_path / "half.pth"), GREY, MEAN, STD)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_an_untrained_network_follows_the_seed() -> None:
    torch.manual_seed(1)
    one = load_network("mobilenet_v3_small", ("features.3",), "random", GREY, MEAN, STD)
    torch.manual_seed(1)
    two = load_network("mobilenet_v3_small", ("features.3",), "random", GREY, MEAN, STD)
    for here, there in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(here, there)


def test_blocks_are_spread_over_the_stages() -> None:
    assert find_block_ends("efficientnet_b7", 6) == tuple(f"features.{number}" for number in (2, 3, 4, 5, 6, 7))
    assert find_block_ends("efficientnet_b7", 3) == ("features.3", "features.5", "features.7")
    assert find_block_ends("resnet18", 3) == TAPS
    assert find_block_ends("vgg11_bn", 5) != find_block_ends("vgg11", 5)
    with pytest.raises(InputError, match=r"6 blocks, but 'resnet18' has 4 stages"):
        find_block_ends("resnet18", 6)
    with pytest.raises(InputError, match=r"'densenet121'.*teacher.taps"):
        find_block_ends("densenet121", 3)
    with pytest.raises(InputError, match="Did you mean 'resnet18'"):
        find_block_ends("resnet-18", 3)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("convnext_tiny", 4),
        ("efficientnet_b0", 6),
        ("efficientnet_v2_s", 5),
        ("mobilenet_v2", 6),
        ("mobilenet_v3_large", 5),
        ("mobilenet_v3_small", 5),
        ("regnet_y_400mf", 4),
        ("vgg13_bn", 5),
        ("vgg16", 5),
    ],
)
def test_the_stages_of_a_family_end_at_its_last_map(name: str, stages: int) -> None:
    """Computed without memory, where the network can be."""
    taps = find_block_ends(name, stages)
    network = cut(build_network(name, empty=True), name, taps).eval()
    device = next(network.parameters()).device
    sizes = [features.shape[-1] for features in network(torch.zeros(1, 3, 64, 64, device=device)).values()]
    assert len(sizes) == stages
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 2


def test_parameters_that_stand_between_layers_get_their_weights_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ConvNeXt scales its residual branches by parameters of the block itself."""
    blocks = [CNBlockConfig(4, 6, 1), CNBlockConfig(6, 8, 1), CNBlockConfig(8, 8, 1), CNBlockConfig(8, None, 1)]
    monkeypatch.setattr(models, "get_model", lambda name, weights: models.ConvNeXt(blocks))
    whole = models.ConvNeXt(blocks).eval()
    for parameter in whole.parameters():
        nn.init.normal_(parameter)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    taps = find_block_ends("convnext_tiny", 4)
    network = load_network("convnext_tiny", taps, str(tmp_path / "w.safetensors"), ImageShape(3, 64, 10), MEAN, STD)
    freeze(network, "eval")
    images = torch.randn(2, 3, 64, 64)
    x = images * network.scale + network.shift
    with torch.no_grad():
        expected = [x := whole.features[number : number + 2](x) for number in (0, 2, 4, 6)]
        for last in range(4):
            torch.testing.assert_close(list(network(images, last)), expected[: last + 1])


@pytest.mark.parametrize("taps", [("layer2", "layer1"), ("layer1", "layer1")])
def test_taps_in_another_order_than_they_are_computed_in_are_refused(taps: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"in the order in which they are computed, which is layer1"):
        cut(build_network("resnet18", empty=True), "resnet18", taps)


def test_a_tap_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"teacher.taps.*'resnet18'.*layer9"):
        cut(build_network("resnet18", empty=True), "resnet18", ("layer9",))
