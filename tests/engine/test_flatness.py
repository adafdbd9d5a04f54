from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from nasplug.builtin.darts import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.data import BatchStream, MemoryImages, divide
from nasplug.engine import Trainer, train
from nasplug.engine.flatness import alpha_eigenvalue, discretisation, dominant_eigenvalue, sharpness
from nasplug.engine.plain.labels import LabelStage
from nasplug.parts import Batch, Choice, Choices, Outputs, PruningSchedule, Supernet
from nasplug.supernets import Norm, recalibrate
from nasplug.values import ImageShape, StepInfo, Training, Verdict

SHAPE = ImageShape(channels=1, size=8, classes=3)


class Smooth(Supernet):
    """Two layers of weighed linear maps with tanh and a batch norm: smooth in weights and alpha."""

    def __init__(self) -> None:
        super().__init__()
        self.choices = Choices([Choice("c", ("a", "b", "d")), Choice("e", ("a", "b"))])
        self.first = nn.ModuleList(nn.Linear(4, 5) for _ in range(3))
        self.second = nn.ModuleList(nn.Linear(5, 5) for _ in range(2))
        self.norm = nn.BatchNorm1d(5)
        self.head = nn.Linear(5, 3)

    def outputs(self, images: Tensor) -> Outputs:
        weights, state = self.choices.weights(), images.flatten(1)
        for row, layer in enumerate((self.first, self.second)):
            terms = [weights[row, column] * layer[column](state) for column in self.choices.active_columns[row]]
            state = torch.stack(terms).sum(0).tanh()
        return Outputs(self.head(self.norm(state)), ())

    def prune(self) -> None:
        pass


@pytest.fixture
def net() -> Smooth:
    torch.manual_seed(0)
    smooth = Smooth().double()
    with torch.no_grad():
        smooth.choices.alpha.normal_()
    return smooth


def batches(count: int = 2) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [
        Batch(
            torch.randn(6 + number, 1, 2, 2, generator=generator, dtype=torch.float64),
            torch.randint(3, (6 + number,), generator=generator),
        )
        for number in range(count)
    ]


def loss_of(net: Smooth, parameters: dict[str, Tensor]) -> Tensor:
    """The mean loss over all images, with batch statistics, without touching the running ones."""
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    total = torch.zeros((), dtype=torch.float64)
    for batch in batches():
        logits = functional_call(net, {**buffers, **parameters}, (batch.images,))
        total = total + F.cross_entropy(logits, batch.labels, reduction="sum")
    return total / sum(len(batch.labels) for batch in batches())


def test_sharpness_is_what_one_step_uphill_costs(net):
    weights = {name: value for name, value in net.named_parameters() if name != "choices.alpha"}
    here = loss_of(net, weights)
    slopes = dict(zip(weights, torch.autograd.grad(here, list(weights.values())), strict=True))
    length = math.sqrt(sum(float(slope.square().sum()) for slope in slopes.values()))
    uphill = {name: value + 0.3 * slopes[name] / length for name, value in weights.items()}
    expected = loss_of(net, uphill) - here
    assert sharpness(net, batches(), radius=0.3) == pytest.approx(float(expected.detach()), rel=1e-9)
    assert float(expected.detach()) > 0


@pytest.mark.parametrize("deleted", [False, True])
def test_the_eigenvalue_is_that_of_the_exact_hessian(net, deleted):
    if deleted:
        net.choices.delete(torch.tensor([[False, True, False], [False, False, False]]))
    alpha = net.choices.alpha.detach().clone()
    at = alpha.requires_grad_()
    (slope,) = torch.autograd.grad(loss_of(net, {"choices.alpha": at}), at, create_graph=True)
    hessian = torch.stack([torch.autograd.grad(entry, at, retain_graph=True)[0].flatten() for entry in slope.flatten()])
    spectrum = torch.linalg.eigvalsh(hessian)
    dominant = float(spectrum[spectrum.abs().argmax()])
    assert abs(dominant) > 1e-3
    assert alpha_eigenvalue(net, batches(), seed=0, tolerance=1e-4, iterations=20) == pytest.approx(dominant, rel=1e-3)


@pytest.mark.parametrize("extremes", [(5.0, -4.9), (-5.0, 4.9)])
def test_the_dominant_eigenvalue_of_a_large_matrix_takes_few_products(extremes):
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(200, 200, generator=generator, dtype=torch.float64))
    spectrum = torch.cat([torch.tensor(extremes), torch.linspace(-1, 1, 198)]).double()
    asked = []

    def product(vector: Tensor) -> Tensor:
        asked.append(vector)
        return (basis * spectrum) @ basis.T @ vector

    start = torch.randn(200, generator=generator, dtype=torch.float64)
    assert dominant_eigenvalue(product, start, tolerance=1e-3, iterations=30) == pytest.approx(extremes[0], rel=1e-3)
    assert len(asked) < 15


def test_an_alpha_without_effect_has_no_curvature(net):
    net.choices.relaxation = lambda alpha, active: active.to(alpha.dtype)
    assert alpha_eigenvalue(net, batches(), seed=0) == 0.0


def test_a_span_that_is_complete_ends_the_iteration():
    matrix, asked = torch.diag(torch.tensor([3.0, -2.0, 0.0], dtype=torch.float64)), []

    def product(vector: Tensor) -> Tensor:
        asked.append(vector)
        return (matrix @ vector.flatten()).view_as(vector)

    start = torch.tensor([[1.0], [1.0], [1.0]], dtype=torch.float64)
    assert dominant_eigenvalue(product, start, tolerance=0.0, iterations=9) == pytest.approx(3.0, rel=1e-12)
    assert len(asked) == 3
    assert dominant_eigenvalue(torch.zeros_like, start, tolerance=0.0, iterations=9) == 0.0


def small() -> tuple[Darts, Supernet, list[Batch]]:
    torch.manual_seed(0)
    space = Darts(operations=("darts",), cells=2, channels=2, nodes=2)
    net = space.supernet(SHAPE).double().train()
    with torch.no_grad():
        net.choices.alpha.normal_()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 12, 1, 8, 8, generator=generator, dtype=torch.float64)
    return space, net, [Batch(one, torch.arange(12) % 3) for one in images]


def test_the_gap_is_that_of_the_decoded_architecture_with_statistics_of_its_own():
    space, net, (first, second) = small()

    def judged() -> tuple[float, float]:
        recalibrate(net, [first.images])
        net.eval()
        with torch.no_grad():
            logits = net(second.images)
        wrong = (logits.argmax(1) != second.labels).double().mean()
        return float(wrong), float(F.cross_entropy(logits, second.labels))

    found = discretisation(net, space, lambda: [first], lambda: [second])
    whole = judged()
    mask = space.encode(space.decode(net.choices, net.choices.weights().detach()), net.choices)
    assert net.choices.kept.sum() > mask.sum()
    with net.choices.only(mask):
        part = judged()
    expected = {
        "supernet_error": whole[0],
        "discrete_error": part[0],
        "gap_error": part[0] - whole[0],
        "gap_loss": part[1] - whole[1],
    }
    assert found == pytest.approx(expected)
    assert abs(found["gap_loss"]) > 1e-3


def test_a_discrete_supernet_has_no_gap():
    space, net, (first, second) = small()
    mask = space.encode(space.decode(net.choices, net.choices.weights().detach()), net.choices)
    with net.choices.only(mask):
        found = discretisation(net, space, lambda: [first], lambda: [second])
    assert found["gap_error"] == found["gap_loss"] == 0


class Stopping(PruningSchedule):
    """Deletes a column in the third step and ends the search in the fifth."""

    def after_step(self, choices: Choices, now: StepInfo) -> Verdict:
        doomed = torch.zeros_like(choices.kept)
        doomed[:, 2] = now.step == 2
        return Verdict(deleted=choices.delete(doomed), stop=now.step == 4)


def search(measured: bool) -> tuple[Trainer, list[StepInfo]]:
    training = Training(epochs=4, batch_size=6, lr=0.05)
    torch.manual_seed(0)
    space = Darts(operations=("nadd3",), cells=2, channels=2, nodes=2)
    net, optimizer = space.supernet(SHAPE), Bilevel(alpha_lr=0.1)
    pixels = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8)
    options = {"mean": (0.5,), "std": (0.3,), "flips": False, "shift": 1, "seed": 0, "phase": "p"}
    images, device = MemoryImages(pixels, np.arange(24) % 3), torch.device("cpu")
    streams = {
        name: BatchStream(images, part, training=training, split=name, device=device, **options)
        for name, part in divide(np.arange(24), optimizer.splits(), 0).items()
    }
    fixed, moments = [streams["train.alpha"].batch(0)], []

    def measure(now: StepInfo) -> dict[str, float]:
        moments.append(now)
        gap = discretisation(net, space, lambda: fixed, lambda: fixed)
        return gap | {"sharpness": sharpness(net, fixed), "curvature": alpha_eigenvalue(net, fixed, 0, iterations=2)}

    trainer = Trainer("p", net, optimizer, Stopping(), [LabelStage()], training, streams, device, space=space)
    trainer.measure = measure if measured else None
    return trainer, moments


def test_measuring_leaves_no_trace():
    def carried_out(measured: bool):
        trainer, moments = search(measured)
        trainer.begin(torch.Generator().manual_seed(1))
        torch.manual_seed(5)
        events = list(train(trainer))
        norms = [module.batches for module in trainer.net.modules() if isinstance(module, Norm)]
        tensors = [*trainer.net.state_dict().values(), *trainer.net.buffers(), torch.get_rng_state()]
        gradients = [parameter.grad for parameter in trainer.net.parameters()]
        return events, moments, (norms, trainer.net.training, gradients), tensors, trainer

    events, _, facts, tensors, _ = carried_out(False)
    measured, moments, same_facts, same_tensors, trainer = carried_out(True)
    assert [event.loss for event in events] == [event.loss for event in measured]
    assert facts == same_facts
    assert set(facts[0]) == {0}
    assert all(torch.equal(one, other) for one, other in zip(tensors, same_tensors, strict=True))

    # Taken once more, the figures are the same: a resumed search finds what the whole one found.
    assert [now.step for now in moments] == [0, 1, 2, 3, 7]  # the step that ends the search counts as its last
    again = trainer.measure(trainer.clock.at(7))
    assert {name: measured[-1].measures[name] for name in again} == again


def test_a_network_comes_back_when_a_measurement_fails(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    broken = [*batches(1), Batch(torch.zeros(1, 1, 3, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.long))]
    with pytest.raises(RuntimeError):
        sharpness(net, broken)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
