"""Forward and backward passes of a search's supernet, beside the plain supernet that computes the same."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nasplug.bench.timing import Measurement, measure
from nasplug.compose import Composition
from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.engine.assembly import place_network
from nasplug.errors import InputError
from nasplug.parts import Batch, Choices, SearchSpace, Supernet
from nasplug.values import ImageShape, StepClock, Update

TURN = Update("random images", moves_weights=True, moves_alpha=True)


@attrs.frozen
class Compared:
    """A supernet and the plain one, measured in one run."""

    case: str
    candidates: int
    """How many candidates counted."""
    fast: Measurement
    reference: Measurement


def compare_supernets(
    composition: Composition,
    shape: ImageShape,
    *,
    batch: int,
    device: torch.device,
    bf16: bool,
    graph_cache: Callable[[], GraphCache | None],
    deleted: float,
    repeats: int,
) -> list[Compared]:
    """The loss of one batch and the gradients of weights and alpha: of all candidates, then without a share `deleted`.

    The plain supernet computes in float32 and contiguous layout, operation by operation, whatever the other does;
    `graph_cache` gives room for recordings of that one, where steps are recorded. Raises InputError for a space
    that has none, and for a share that rounds to no candidate.
    """
    torch.manual_seed(0)
    space, optimizer = composition.space, composition.optimizer
    net = space.supernet(shape)
    optimizer.initialise(net.choices, torch.Generator().manual_seed(0))
    net.choices.relaxation = optimizer.relax
    if deleted and not _count(net.choices, deleted):
        raise InputError(
            f"{deleted:g} of the {net.choices.active_count} candidates is none of them, so there is nothing to "
            f"compare; delete a larger share, or 0 to measure all candidates only."
        )
    place_network(net, device)
    pixels = torch.randn(batch, *shape.tensor_shape, device=device)
    images = Batch(pixels, torch.arange(batch, device=device) % shape.classes)
    found = []
    for share in (0.0, deleted) if deleted else (0.0,):
        if share:
            net.choices.delete(_doomed(net.choices, share))
            net.prune()
        plain = find_plain_supernet(space, net).to(device)
        now = StepClock(steps_per_epoch=1, epochs=1).at(0)
        mask = optimizer.sample(space, net.choices, now)
        with net.choices.only(net.choices.kept if mask is None else mask):
            steps = [_step(net, images, graph_cache(), bf16=bf16), _step(plain, images, None, bf16=False)]
            fast, reference = measure(steps, device, repeats)
            case = f"{100 * share:.3g}% deleted" if share else "all candidates"
            found.append(Compared(case, net.choices.active_count, fast, reference))
    return found


def find_plain_supernet(space: SearchSpace, net: Supernet) -> nn.Module:
    """The plain supernet that computes the same as `net`; InputError for a space without one."""
    plain = space.plain_supernet(net)
    if plain is None:
        raise InputError(
            f"There is no plain supernet of the space '{space.name}' to compare with: its class has no method "
            f"plain_supernet; take another space, such as --space darts."
        )
    return plain


def _doomed(choices: Choices, share: float) -> Tensor:
    """So large a share of the candidates that are kept, at random."""
    drawn = torch.rand(choices.kept.shape, generator=torch.Generator().manual_seed(1)).masked_fill(
        ~choices.kept.cpu(), torch.inf
    )
    doomed = torch.zeros(drawn.shape, dtype=torch.bool)
    doomed.view(-1)[drawn.flatten().argsort()[: _count(choices, share)]] = True
    return doomed.to(choices.kept.device)


def _count(choices: Choices, share: float) -> int:
    return round(share * int(choices.kept.sum()))


def _step(
    net: Supernet | nn.Module, images: Batch, graph_cache: GraphCache | None, *, bf16: bool
) -> Callable[[], None]:
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]

    def compute(batch: Batch) -> Tensor:
        with torch.autocast(batch.images.device.type, torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(net(batch.images).float(), batch.labels)
        loss.backward()
        return loss.detach()

    def step() -> None:
        if graph_cache is None:
            compute(images)
        else:
            with graph_cache.recorder.stream():
                graph_cache.gradients(TURN, (), images, compute, parameters)
        net.zero_grad(set_to_none=True)

    return step
