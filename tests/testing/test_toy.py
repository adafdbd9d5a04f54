"""The space of which the best operation is known, and why it is."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from nasplug.testing.check_runner import CheckRunner
from nasplug.testing.checked_package import open_package
from nasplug.testing.checks import CHECKS
from nasplug.testing.toy import BEST, Toy, stripes
from nasplug.values import ImageShape

SHAPE = ImageShape(2, 8, 4)


def test_classes_are_transposes_of_each_other():
    data = stripes(400)
    pixels = data.train.pixels.double()
    for plane in range(2):
        level = torch.from_numpy(data.train.labels // (plane + 1) % 2).bool()
        across, along = pixels[:, plane].mean(1).var(1), pixels[:, plane].mean(2).var(1)
        assert bool((across > along)[~level].all())
        assert bool((along > across)[level].all())


@pytest.mark.parametrize(("operation", "sees"), [("skip", False), ("pool", False), ("point", False), (BEST, True)])
def test_only_the_best_operation_tells_an_image_from_its_transpose(operation, sees):
    net = Toy().network(Toy().parse(f"{operation} {operation}"), SHAPE).double().eval()
    images = stripes(8).train.pixels.double() / 255
    logits, transposed = net(images), net(images.transpose(2, 3))
    assert torch.allclose(logits, transposed, atol=1e-9) != sees


def test_the_best_operation_can_learn_the_classes():
    torch.manual_seed(0)
    data = stripes(64)
    net = Toy().network(Toy().parse(f"{BEST} {BEST}"), SHAPE)
    images, labels = data.train.pixels / 127.5 - 1, data.train.targets
    torch_optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        torch_optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        torch_optimizer.step()
    assert float((net(images).argmax(1) == labels).float().mean()) == 1.0


SPACE = """
from nasplug.hookspecs import hookimpl
@hookimpl
def nasplug_register(register):
    register.space("toy", "nasplug.testing.toy:Toy", summary="Toy.")
    register.schedule("weakest", "nasplug.testing.toy:Weakest", summary="Deletes the weakest.")
"""


def test_the_toy_parts_keep_the_contract_themselves(tmp_path):
    path = tmp_path / "plugin_toys.py"
    path.write_text(SPACE)
    failed = [str(outcome) for outcome in CheckRunner(open_package(path)).outcomes() if outcome.status == "failed"]
    assert failed == []


def test_second_order_is_as_pure_as_first():
    options = {"optimizer bilevel": {"order": "second"}}
    case = next(case for case in open_package("nasplug", options).cases if case.title == "optimizer bilevel")
    for name in ("each-update-changes-only-what-it-names", "leaves-no-gradients-behind", "puts-buffers-back"):
        CHECKS[name].function(case)
