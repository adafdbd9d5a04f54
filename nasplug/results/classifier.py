"""A trained network together with its preprocessing: raw images in, class probabilities out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nasplug.data import normalize
from nasplug.parts import Task
from nasplug.parts.recorded_task import read_task
from nasplug.plugins import Plugins
from nasplug.results.torch_state import IsolatedTorchState
from nasplug.store.networks import load_network
from nasplug.values import sides
from nasplug.values.shape import read_form


class Classifier(nn.Module):
    """Takes uint8 images (N, C, H, W), or signals (N, C, 1, L) of its `dtype`.

    It gives answers (N, outputs), float32, such as class probabilities.

    It needs nothing from outside, so it is also what an exported graph computes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, facts: Mapping[str, Any]) -> None:
        super().__init__()
        data = facts["data"]
        self.facts = facts
        """What the weights file says of the network: its space and genotype or its reference network, preprocessing,
        classes."""
        self.classes: tuple[str, ...] = tuple(data["classes"])
        """The names of the classes, or of the other outputs of the task."""
        self.task: Task = read_task(data)
        self.channels: int = data["channels"]
        self.size: int = data["size"]
        self.bits: int | None = data.get("bits", 16)
        """Bits used of values of more than 8 in the training images; None: these had 8. Runs of 0.1 took 16."""
        self.dims, self.dtype = read_form(data)
        self.net = net
        self.register_buffer("mean", torch.tensor(data["mean"]))
        self.register_buffer("std", torch.tensor(data["std"]))
        self.eval().requires_grad_(False)

    @classmethod
    def read(cls, path: Path, plugins: Plugins) -> Classifier:
        """The network of a weights file, on the CPU. Raises InputError if there is none or it is damaged."""
        with IsolatedTorchState().active():  # in float32 and on the CPU, whatever the program has set
            return cls(*load_network(path, plugins))

    @property
    def tensor_shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of one image or signal."""
        return (self.channels, *sides(self.size, self.dims))

    @property
    def ordinary_input(self) -> Tensor:
        """The mean of the training images, everywhere the same, as one of them (1, C, H, W)."""
        mean = self.mean.cpu()
        values = (255 * mean).round().to(torch.uint8) if self.dtype == "uint8" else mean
        return values[:, None, None].expand(1, *self.tensor_shape)

    def forward(self, images: Tensor) -> Tensor:
        """The answers to uint8 images (N, C, H, W)."""
        logits: Tensor = self.net(normalize(images, self.mean, self.std))
        return self.task.answer_layer(logits)
