"""A whole search of DNAD beside its released code, written a second time: weights, alpha, adaptors, controller, end."""

from __future__ import annotations

import copy

import attrs
import pytest
import torch
from nasplug_dnad.features import FeatureStage
from nasplug_snps.shrink import Shrink
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.engine.runner import train
from tests.engine.searches import CPU, NODES, SHAPE, STEPS, Noise, trainer

CLIP, BASELINE, RATIOS, END = 0.5, 0.01, (0.2, 0.3, 0.5), 34.0
SPACE = attrs.evolve(NODES, nodes=1)
SEARCH = {"optimizer": "adam", "lr": 5e-3, "lr_schedule": "constant", "betas": (0.5, 0.999), "clip": CLIP}
CONSTANTS = {"gamma_0": 2e-2, "gamma_max": 0.05, "phi": 1.05, "n_max": 0.05, "t_max": 3, "s_min": END}


def shares(raw: Tensor) -> Tensor:
    """The weights of candidates in the released code, from raw alpha (nodes, candidates)."""
    rectified = raw.relu()
    share = rectified / rectified.sum(1, keepdim=True)
    return torch.where(share < BASELINE, torch.zeros_like(share), share)


def distance(taps, targets, adaptors) -> Tensor:
    def standard(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)

    pairs = zip(RATIOS, adaptors, taps, targets, strict=True)
    return sum(
        ratio * F.mse_loss(standard(adaptor(tap.float())), standard(target.float()))
        for ratio, adaptor, tap, target in pairs
    )


def make_search(warm_up: int):
    """The search by nasplug; the adaptors are so small that their gradient is by far the longest."""
    schedule = Shrink(**CONSTANTS, warm_up=warm_up)
    made = trainer(SPACE, OneLevel(alpha_lr=2.0, alpha_clip=CLIP), schedule, epochs=9, **SEARCH)
    torch.manual_seed(1)
    teacher = SPACE.scaled(channels=3).supernet(SHAPE).double()
    adaptors = nn.ModuleList(nn.Conv2d(2 * width, 3 * width, 1) for width in (1, 2, 4))
    with torch.no_grad():
        for parameter in adaptors.parameters():
            parameter.mul_(0.02)
    made.stages[:] = [FeatureStage(adaptors, teacher, RATIOS, 1.0)]
    made.build_torch_optimizers()
    made.begin(torch.Generator())
    return made, teacher, adaptors


@pytest.mark.slow
def test_a_search_of_dnad_is_that_of_the_released_code(specification):
    warm_up = 1
    made, teacher, adaptors = make_search(warm_up)
    net, adaptors = copy.deepcopy(made.net), copy.deepcopy(adaptors)
    steps = list(train(made))

    alpha, valid = net.choices.alpha, net.choices.valid_mask
    net.choices.relaxation = lambda raw, _: shares(raw)
    with torch.no_grad():
        alpha.masked_fill_(~valid, specification.DELETED)
    weights = [parameter for parameter in net.parameters() if parameter is not alpha]
    adam = torch.optim.Adam([*weights, *adaptors.parameters()], lr=5e-3, betas=(0.5, 0.999), weight_decay=3e-4)
    sgd = torch.optim.SGD([alpha], lr=2.0)
    controller = specification.Controller({**CONSTANTS, "s_min": END})
    longest, ended = {"weights": 0.0, "adaptors": 0.0}, None
    for step in range(9 * STEPS):
        batch = Noise(CPU).batch(step)
        out = net.outputs(batch.images)
        loss = F.cross_entropy(out.logits.float(), batch.labels)
        loss = loss + distance(out.taps, teacher.outputs(batch.images).taps, adaptors)
        if step >= warm_up * STEPS:
            density = torch.log(1 + 50 * shares(alpha)).sum()
            loss = loss * (1 + controller.gamma * density) + controller.gamma * controller.mu * density
        adam.zero_grad()
        sgd.zero_grad()
        loss.backward()
        longest["weights"] = max(longest["weights"], float(nn.utils.clip_grad_norm_(weights, CLIP)))
        longest["adaptors"] = max(longest["adaptors"], float(nn.utils.clip_grad_norm_(adaptors.parameters(), CLIP)))
        nn.utils.clip_grad_norm_([alpha], CLIP)
        adam.step()
        sgd.step()
        if step >= warm_up * STEPS:
            nodes = alpha.tolist()
            deleted = controller.delete(nodes)
            with torch.no_grad():
                alpha.copy_(torch.tensor(nodes, dtype=alpha.dtype))
            stall = controller.control(deleted)
            assert steps[step].measures["deleted"] == deleted
            assert (steps[step].reason == "stall") == stall
        else:
            assert steps[step].snapshot is None
        assert steps[step].loss == pytest.approx(float(loss.detach()), rel=1e-6)
        if step % STEPS == STEPS - 1 and step >= warm_up * STEPS:
            assert steps[step].snapshot is not None
            if specification.sparsity(alpha.tolist()) < END:
                ended = step
                break
    assert ended is not None
    assert len(steps) == ended + 1
    assert steps[-1].stop
    assert len(steps) > 24
    assert longest["weights"] > CLIP
    assert longest["adaptors"] > CLIP
    kept = made.choices.kept
    torch.testing.assert_close(made.choices.alpha[kept], alpha[kept], rtol=1e-5, atol=1e-7)
    held = dict(made.net.named_parameters())
    for name, parameter in net.named_parameters():
        if name in held and parameter is not alpha:
            torch.testing.assert_close(held[name], parameter, rtol=1e-5, atol=1e-7)
    for ours, theirs in zip(made.stages[0].parameters(), adaptors.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
