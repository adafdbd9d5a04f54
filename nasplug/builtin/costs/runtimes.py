"""What carries out networks whose time is measured: ONNX Runtime, or torch itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import attrs
import torch
from torch import Tensor, nn

from nasplug.deployment.graph import deployed_graph
from nasplug.errors import InputError

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What the extra `onnx` installs: torch writes a model with onnxscript where `write_onnx` cannot."""


class Runtime(ABC):
    """Carries out a network for one image after the other, in one thread."""

    @property
    @abstractmethod
    def version(self) -> str:
        """Its name and version, such as "torch 2.15.0"."""

    @abstractmethod
    def prepare(self, net: nn.Module, image: Tensor) -> Callable[[], object]:
        """A function that runs `net`, in evaluation mode, once for this image, (1, C, H, W)."""


@attrs.frozen
class TorchRuntime(Runtime):
    """The deployed graph, one operation after the other."""

    @property
    def version(self) -> str:
        """Torch's."""
        return f"torch {torch.__version__}"

    def prepare(self, net: nn.Module, image: Tensor) -> Callable[[], object]:
        """Runs the operations of the deployed graph."""
        module = deployed_graph(net, image.shape[1:])
        return lambda: module(image)


@attrs.frozen
class OnnxRuntime(Runtime):
    """ONNX Runtime on the CPU, with all its optimisations."""

    @property
    def version(self) -> str:
        """ONNX Runtime's."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def prepare(self, net: nn.Module, image: Tensor) -> Callable[[], object]:
        """Makes a session for the network's model."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(_make_model(net, image), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: image.numpy()}
        return lambda: session.run(None, feed)


def choose_runtime(name: str) -> Runtime:
    """The runtime "onnxruntime" or "torch"; "auto" is ONNX Runtime where it is installed, and torch otherwise.

    Raises InputError if the one that is asked for is not installed.
    """
    if name == "torch":
        return TorchRuntime()
    try:
        import_module("onnxruntime")
        for package in PACKAGES:
            if find_spec(package) is None:  # not imported: onnxscript takes long, and is seldom used
                raise ModuleNotFoundError(f"No module named '{package}'")
    except ImportError as error:
        if name == "auto":
            return TorchRuntime()
        raise InputError(
            f"latency.runtime=onnxruntime needs packages that are missing ({error}): pip install 'nasplug[onnx]', or "
            f"set latency.runtime=torch."
        ) from error
    return OnnxRuntime()


def _make_model(net: nn.Module, image: Tensor) -> bytes:
    """The network as an ONNX model."""
    from nasplug.deployment.onnx_model import Untranslated, write_onnx  # here, because it needs onnx

    try:
        return write_onnx(deployed_graph(net, image.shape[1:]))
    except Untranslated:
        pass
    with torch.no_grad():
        program = torch.onnx.export(net, (image,), dynamo=True, verbose=False)
    assert program is not None  # noqa: S101 - only the exporter that is not used here gives none
    content: bytes = program.model_proto.SerializeToString()
    return content
