"""The formats: how a classifier becomes the bytes of a file, and how such a file is opened again."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import safe_open
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from nasplug.deployment.graph import deployed_graph
from nasplug.deployment.python_source import collect_weights, write_source
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.results.classifier import Classifier
from nasplug.store.files import encode_tensors
from nasplug.values.checksum import CHECKSUM

Metadata = Mapping[str, str]
PT2_METADATA = "nasplug.json"
"""The name of the extra file in a pt2 archive."""


@attrs.frozen
class Opened:
    """A file that was read back."""

    predict: Callable[[Tensor], Tensor]
    """Class probabilities (N, classes) of uint8 images (N, C, H, W), as the file computes them."""
    metadata: Metadata


@attrs.frozen
class Format:
    """One kind of file."""

    encode: Callable[[Classifier, Metadata], bytes]
    read: Callable[[Path], Opened]
    quantise: Callable[[bytes, Tensor], bytes] | None = None
    """From the bytes of a file and images, uint8 (N, C, H, W), to calibrate on, to those of a file in 8 bits."""
    count_nodes: Callable[[bytes], int] | None = None
    """The operations of the graph in the bytes of a file."""
    suffix: str = ""
    """The ending of its files; empty: its name."""
    weights: Callable[[Classifier], bytes] | None = None
    """The bytes of a second file, beside the first and with the ending ".pt", that holds the weights."""
    rebuilds: bool = True
    """Whether a file says what nasplug needs to build the network."""


def _graph(classifier: Classifier) -> ExportedProgram:
    """What the classifier computes, for batches of any size, without the paths of the source files that it came from.

    Two images serve as the example: torch takes dimensions of 0 and 1 for constants.
    """
    example = torch.zeros(2, classifier.channels, classifier.size, classifier.size, dtype=torch.uint8, device="cpu")
    program = torch.export.export(classifier, (example,), dynamic_shapes=({0: Dim("batch", min=1)},), strict=False)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    return program


def _encode_onnx(classifier: Classifier, metadata: Metadata) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401 - the file is checked with it
        import onnxscript  # noqa: F401 - torch writes the file with it
    except ImportError as error:
        raise InputError(
            f"ONNX files need packages that are missing ({error}): pip install 'nasplug[onnx]'."
        ) from error
    from nasplug.deployment.onnx_model import Untranslated, write_classifier
    from nasplug.deployment.quantisation import shorten_names

    shape = (classifier.channels, classifier.size, classifier.size)
    try:
        graph = deployed_graph(classifier.net, shape)
        model = write_classifier(graph, classifier.mean.tolist(), classifier.std.tolist())
    except Untranslated:
        model = _write_by_torch(classifier)
    shorten_names(model)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _write_by_torch(classifier: Classifier) -> Any:
    program = torch.onnx.export(
        _graph(classifier),
        input_names=["images"],
        output_names=["probabilities"],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101 - only the exporter that nasplug does not use gives none
    model = program.model_proto
    # torch notes for every node where it came from, which makes small networks several times as large.
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.ClearField("metadata_props")
    return model


def _quantise_onnx(content: bytes, images: Tensor) -> bytes:
    import onnx

    from nasplug.deployment.quantisation import quantise

    model = onnx.load_from_string(content)
    quantised = quantise(model, images.numpy())
    metadata = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(quantised, metadata)
    onnx.checker.check_model(quantised, full_check=True)
    result: bytes = quantised.SerializeToString()
    return result


def _count_onnx_nodes(content: bytes) -> int:
    import onnx

    return len(onnx.load_from_string(content).graph.node)


def _read_onnx(path: Path) -> Opened:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def predict(images: Tensor) -> Tensor:
        (probabilities,) = session.run(["probabilities"], {"images": images.numpy()})
        return torch.from_numpy(probabilities)

    return Opened(predict, session.get_modelmeta().custom_metadata_map)


def _encode_pt2(classifier: Classifier, metadata: Metadata) -> bytes:
    buffer = BytesIO()
    torch.export.save(_graph(classifier), buffer, extra_files={PT2_METADATA: json.dumps(metadata)})
    return buffer.getvalue()


def _read_pt2(path: Path) -> Opened:
    extra = {PT2_METADATA: ""}
    module = torch.export.load(path, extra_files=extra).module()
    return Opened(module, json.loads(extra[PT2_METADATA]))


def _encode_python(classifier: Classifier, metadata: Metadata) -> bytes:
    source = write_source(_plain_graph(classifier), classifier.mean.tolist(), classifier.std.tolist(), metadata)
    return source.encode()


def _encode_python_weights(classifier: Classifier) -> bytes:
    buffer = BytesIO()
    torch.save(collect_weights(_plain_graph(classifier)), buffer)
    return buffer.getvalue()


def _plain_graph(classifier: Classifier) -> GraphModule:
    """The graph with its batch norms, which can only be folded with a rounding error."""
    return deployed_graph(classifier.net, (classifier.channels, classifier.size, classifier.size), folded=False)


def _read_python(path: Path) -> Opened:
    module = runpy.run_path(str(path))
    return Opened(module["load"](), module["ABOUT"])


def _encode_safetensors(classifier: Classifier, metadata: Metadata) -> bytes:
    return b"".join(encode_tensors(classifier.net.state_dict(), metadata))


def _read_safetensors(path: Path) -> Opened:
    with safe_open(path, framework="pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != CHECKSUM}
    return Opened(Classifier.read(path, load_plugins()), metadata)


FORMATS: dict[str, Format] = {
    "onnx": Format(_encode_onnx, _read_onnx, _quantise_onnx, _count_onnx_nodes),
    "pt2": Format(_encode_pt2, _read_pt2),
    "python": Format(_encode_python, _read_python, suffix="py", weights=_encode_python_weights, rebuilds=False),
    "safetensors": Format(_encode_safetensors, _read_safetensors),
}
"""Every format by its name."""
