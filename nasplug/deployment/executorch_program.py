"""Programs of ExecuTorch: a deployed graph between raw images and answers, for phones and small devices.

Convolutions and what lies between them are delegated to XNNPACK, which has fast kernels for ARM and x86 processors.
Importing ExecuTorch takes seconds, so that it is imported when it is needed.
"""

from __future__ import annotations

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from hashlib import sha256
from io import StringIO

import torch
from torch import Tensor, fx, nn

from nasplug.deployment.arguments import name_arguments
from nasplug.formats.json_text import parse_object
from nasplug.formats.limits import FormatError
from nasplug.parts.answer_layer import SOFTMAX, AnswerLayer
from nasplug.values.shape import SCALES

aten = torch.ops.aten

METADATA = "metadata"
"""The method of a program that gives its metadata, an object in JSON: what a program can say besides computing."""
FORWARD = "forward"
SEAL = b"nasplug sha256 "
"""What stands before the digest at the end of a file. ExecuTorch reads no further than its own part, and ends the whole
process at some damage, so that nothing is handed to it that is not as it was written."""


class RawImages(nn.Module):
    """A graph of normalised images between raw ones, `dtype` (N, C, H, W), and answers, float32 (N, outputs).

    `mean` and `std` are per channel, on the scale from 0 to 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: fx.GraphModule,
        mean: Sequence[float],
        std: Sequence[float],
        answers: AnswerLayer = SOFTMAX,
        dtype: str = "uint8",
    ) -> None:
        super().__init__()
        self.dtype, self.scale = getattr(torch, dtype), SCALES[dtype]
        self.answers = answers
        self.net = _use_pools(net)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """Differences and quotients, which the quantiser leaves in 32 bits, unlike products and sums."""
        scaled = images if self.scale == 1 else images.to(torch.float32) / self.scale
        logits: Tensor = self.net((scaled - self.mean) / self.std)
        return self.answers(logits)


def _use_pools(module: fx.GraphModule) -> fx.GraphModule:
    """A copy in which means over whole maps are pools, which XNNPACK and its quantiser know."""
    module = copy.deepcopy(module)
    for node in list(module.graph.nodes):
        if node.target is not aten.mean.dim:
            continue
        given = name_arguments(node)
        if list(given["dim"]) == [2, 3] and not given["keepdim"]:
            with module.graph.inserting_before(node):
                pooled = module.graph.call_function(aten.adaptive_avg_pool2d.default, (given["self"], [1, 1]))
                node.replace_all_uses_with(module.graph.call_function(aten.flatten.using_ints, (pooled, 1)))
            module.graph.erase_node(node)
    module.recompile()
    return module


def write_program(
    net: RawImages, shape: Sequence[int], metadata: Mapping[str, str], images: Tensor | None = None
) -> bytes:
    """The program for one image of `shape` (C, H, W), with these metadata.

    With `images`, raw (N, C, H, W), weights and maps have 8 bits, both signed: weights with a scale for each output
    channel, maps with one scale and zero each, for the ranges that they have on these images. What XNNPACK's quantiser
    does not know, normalisation and what makes answers of logits among it, stays in 32 bits.
    """
    with quiet():
        from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS, ConstantPadConfig
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        example = (torch.zeros(1, *shape, dtype=net.dtype),)
        program = torch.export.export(net, example)
        if images is not None:
            program = torch.export.export(_quantise(program.module(), images), example)
        # XNNPACK refuses to pad some maps of 8 bits, and says so only when the program is loaded.
        delegated = [each for each in ALL_PARTITIONER_CONFIGS if images is None or each is not ConstantPadConfig]
        lowered = to_edge_transform_and_lower(
            program,
            partitioner=[XnnpackPartitioner(configs=delegated)],
            constant_methods={METADATA: json.dumps(metadata)},
        )
        return _seal(bytes(lowered.to_executorch().buffer))


def _quantise(module: nn.Module, images: Tensor) -> nn.Module:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantiser = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    observed = prepare_pt2e(module, quantiser)
    with torch.no_grad():
        for image in images:
            observed(image[None])
    return _drop_unread(convert_pt2e(observed))


def _drop_unread(module: fx.GraphModule) -> fx.GraphModule:
    """Removes tensors that no node reads: weights in 32 bits stay beside those in 8, and would go into the program."""
    read = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name, _ in [*module.named_parameters(), *module.named_buffers()]:
        if name not in read:
            owner, _, own = name.rpartition(".")
            delattr(module.get_submodule(owner), own)
    return module


def load_program(content: bytes) -> tuple[Callable[[Tensor], Tensor], Mapping[str, str]]:
    """From a program to what it computes, as `RawImages` does, and its metadata. It computes in one thread.

    Raises FormatError if it is damaged, or `write_program` has not written it.
    """
    content = _unseal(content)
    # Its C++ part writes about processors and threads to Python's stderr.
    with quiet(), redirect_stderr(StringIO()):
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime

        # By default it has as many as there are cores, which single images of small networks make no use of. Programs
        # that were loaded before would lose their threads, so that the number is changed once.
        if portable_lib._threadpool_get_thread_count() != 1:
            portable_lib._unsafe_reset_threadpool(1)
        program = Runtime.get().load_program(content)
        (text,) = program.load_method(METADATA).execute([])
        program.load_method(FORWARD)

    def predict(images: Tensor) -> Tensor:
        forward = program.load_method(FORWARD)  # the program keeps it, and the bytes that it reads
        # Grey images can be contiguous with the strides of another layout, which a program refuses.
        single = (image[None].clone(memory_format=torch.contiguous_format) for image in images)
        return torch.cat([forward.execute([image])[0] for image in single])

    return predict, parse_object(text)


def _seal(content: bytes) -> bytes:
    return content + SEAL + sha256(content).digest()


def _unseal(content: bytes) -> bytes:
    """What was sealed; FormatError for anything else."""
    end = len(content) - len(SEAL) - sha256().digest_size
    program, seal = content[: max(end, 0)], content[max(end, 0) :]
    if not seal.startswith(SEAL):
        raise FormatError("it does not end with a checksum of nasplug")
    if seal[len(SEAL) :] != sha256(program).digest():
        raise FormatError("it does not match its checksum")
    return program


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what ExecuTorch and torchao warn of while they are imported and at work: names of their own."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
