from __future__ import annotations

import torch
from torch import Tensor, nn

from nasplug.engine.plain.labels import LabelStage
from nasplug.parts import Batch, Network, Outputs
from nasplug.values import StepClock, Update

NOW, TURN = StepClock(1, 1).at(0), Update("train", moves_weights=True, moves_alpha=False)


class TwoHeads(Network):
    def __init__(self, auxiliary: bool) -> None:
        super().__init__()
        self.main, self.side = nn.Linear(3, 4).double(), nn.Linear(3, 4).double()
        self.with_auxiliary = auxiliary

    def outputs(self, images: Tensor) -> Outputs:
        return Outputs(self.main(images), (), self.side(images) if self.with_auxiliary else None)


def negative_log_likelihood(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    target = torch.full_like(logits, smoothing / logits.shape[1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * logits.log_softmax(1)).sum(1).mean()


def test_the_auxiliary_head_and_smoothing_enter_as_stated() -> None:
    torch.manual_seed(0)
    net, batch = TwoHeads(auxiliary=True), Batch(torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 3, 0, 1]))
    main, side = (negative_log_likelihood(head(batch.images), batch.labels, 0.1) for head in (net.main, net.side))
    loss = LabelStage(smoothing=0.1, auxiliary_weight=0.4)(net, batch, TURN, NOW)
    torch.testing.assert_close(loss.double(), main + 0.4 * side, rtol=1e-6, atol=1e-6)


def test_both_heads_weigh_classes_as_cross_entropy_of_torch_does() -> None:
    torch.manual_seed(0)
    weights, labels = torch.tensor([3.0, 1.0, 0.5, 2.0]), torch.tensor([0, 1, 2, 3, 0, 1])
    net, images = TwoHeads(auxiliary=True).float(), torch.randn(6, 3)
    main, side = (
        nn.functional.cross_entropy(head(images), labels, weight=weights, label_smoothing=0.1)
        for head in (net.main, net.side)
    )
    loss = LabelStage(smoothing=0.1, auxiliary_weight=0.4)(net, Batch(images, labels, weights), TURN, NOW)
    assert torch.equal(loss, main + 0.4 * side)
    assert not torch.equal(loss, LabelStage(0.1, 0.4)(net, Batch(images, labels), TURN, NOW))


def test_without_an_auxiliary_head_its_weight_is_idle() -> None:
    net, batch = TwoHeads(auxiliary=False), Batch(torch.randn(6, 3).double(), torch.tensor([0, 1, 2, 3, 0, 1]))
    assert torch.equal(LabelStage(0.0, 0.4)(net, batch, TURN, NOW), LabelStage()(net, batch, TURN, NOW))
