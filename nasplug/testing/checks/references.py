"""Checks of reference networks: they take any images, at every width, and are the same when they are built again."""

from __future__ import annotations

import json
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from nasplug.parts import ReferenceNetwork
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.outcome import NotApplicable, require
from nasplug.values import ImageShape
from nasplug.values.options import build, option_values

SHAPES = tuple(ImageShape(channels, size, 2 + channels) for channels, size in ((1, 8), (2, 9), (3, 32), (4, 224)))
"""The smallest, an odd and the largest images that have to work."""
SHAPE = ImageShape(channels=3, size=16, classes=5)
SMALL = 0.25
"""The width of networks of which only the form matters."""
SAMPLED, WIDEST = 9, 2.0
"""Widths at which networks are built, spread evenly over all up to the widest."""


@check("reference")
def takes_images_of_any_form(case: Case) -> None:
    """Networks give finite logits for a single image of 8 to 224 pixels and of 1 to 4 channels, for any classes.

    Strides that suit one size of images leave nothing of smaller ones, and a run has whatever images its user has.
    """
    reference = _small(case)
    for shape in SHAPES:
        net = reference.network(shape).eval()
        with torch.no_grad():
            outputs = net.outputs(torch.randn(1, shape.channels, shape.size, shape.size))
        images = f"an image of {shape.size} pixels and {shape.channels} channels"
        found = tuple(outputs.logits.shape)
        require(found == (1, shape.classes), f"{images} gets logits {found}", f"give (1, {shape.classes}) logits")
        require(bool(outputs.logits.isfinite().all()), f"{images} gets logits that are not finite", "fix the weights")


@check("reference")
def widths_ascend(case: Case) -> None:
    """There are widths, in ascending order, and each of them replaces the width before it.

    The network of a given cost is found between two widths, and a factor on top of a factor is another network.
    """
    reference = _reference(case)
    widths = list(reference.widths())
    ordered = bool(widths) and widths[0] > 0 and all(before < after for before, after in pairwise(widths))
    require(ordered, f"the widths begin with {widths[:3]}", "return ascending factors above 0")
    direct, again = reference.scaled(widths[-1]), reference.scaled(widths[0]).scaled(widths[-1])
    require(
        option_values(direct) == option_values(again),
        f"scaled({widths[0]:g}) and then scaled({widths[-1]:g}) is not scaled({widths[-1]:g})",
        "replace the width, do not multiply it",
    )


@check("reference")
def grows_with_its_width(case: Case) -> None:
    """Wider networks have more parameters.

    Otherwise the search for the width of a given cost ends at another cost.
    """
    reference = _reference(case)
    widths = [width for width in reference.widths() if width <= WIDEST]
    if len(widths) < 2:
        raise NotApplicable(f"it has {len(widths)} widths up to {WIDEST:g}")
    last, count = len(widths) - 1, min(SAMPLED, len(widths)) - 1
    chosen = [widths[number * last // count] for number in range(count + 1)]
    nets = (reference.scaled(width).network(SHAPE) for width in chosen)
    params = [sum(parameter.numel() for parameter in net.parameters()) for net in nets]
    for (narrow, before), (wide, after) in pairwise(zip(chosen, params, strict=True)):
        found = f"{before} parameters at width {narrow:g} become {after} at width {wide:g}"
        require(after > before, found, "multiply the channels of every stage by the width")


@check("reference")
def size_describes_the_network(case: Case) -> None:
    """What `size` returns, written as JSON and read again, builds the same network.

    Weights are loaded into the network that their file describes, perhaps years later.
    """
    reference = _small(case)
    size = json.loads(json.dumps(reference.size()))
    reserved = {"classes", "size"} & size.keys()
    require(not reserved, f"an option is called '{min(reserved, default='')}'", "name it otherwise: images have these")
    plain = all(isinstance(value, int | float | str) for value in size.values())
    require(plain, f"size() is {size!r:.80}", "use options that are a number or a word each")
    again = build(case.target, size, case.title)
    require(
        _form(again.network(SHAPE)) == _form(reference.network(SHAPE)),
        f"the network that {size!r:.80} describes has other tensors",
        "return all options, the width included, as ReferenceNetwork.size does",
    )


@check("reference")
def has_the_same_initial_weights_for_a_seed(case: Case) -> None:
    """Two networks that are built under the same seed have the same initial weights.

    A run that is repeated must give the same result.
    """
    reference = _small(case)
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(reference.network(SHAPE).state_dict())
    changed = [name for name, tensor in states[0].items() if not torch.equal(tensor, states[1][name])]
    require(not changed, f"'{(changed or [''])[0]}' differs", "draw weights from torch's global generator alone")


@check("reference")
def trains_all_its_parameters(case: Case) -> None:
    """Every parameter gets a finite gradient from the loss.

    Parameters that do nothing count in the cost at which networks are compared.
    """
    torch.manual_seed(0)
    net = _small(case).network(SHAPE).train()
    images, labels = torch.randn(8, SHAPE.channels, SHAPE.size, SHAPE.size), torch.arange(8) % SHAPE.classes
    F.cross_entropy(net(images), labels).backward()
    for name, parameter in net.named_parameters():
        gradient = parameter.grad
        works = gradient is not None and bool(gradient.isfinite().all())
        require(works, f"'{name}' gets no finite gradient", "use it in outputs(), or leave it out")


@check("reference")
def says_for_which_images_its_weights_are(case: Case) -> None:
    """`weights_option` names an option, and `normalisation` has a mean and a deviation for each channel.

    With trained weights, a network can be a teacher, which reads images as those that its weights were trained on.
    """
    reference, option = _reference(case), case.target.weights_option
    values = option_values(reference)
    require(not option or option in values, f"there is no option '{option}'", "name one in weights_option")
    described = reference.normalisation()
    if described is not None:
        mean, std = described
        fits = len(mean) == len(std) > 0 and all(value > 0 for value in std)
        require(fits, f"normalisation() is {described!r:.80}", "return as many deviations above 0 as means")


def _reference(case: Case) -> ReferenceNetwork:
    options, location = case.options.get(case.title, {}), case.target.location_option
    if location and location not in options:
        raise NotApplicable(f"it needs the option '{location}'")
    reference: ReferenceNetwork = build(case.target, options, case.title)
    return reference


def _small(case: Case) -> ReferenceNetwork:
    """The network at the first width of at least SMALL, if there is one."""
    reference = _reference(case)
    widths = list(reference.widths())
    return reference.scaled(next((width for width in widths if width >= SMALL), widths[-1])) if widths else reference


def _form(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
