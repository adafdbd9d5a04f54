"""ONNX: graphs for ONNX Runtime and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nasplug.deployment.graph import deployed_graph
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import read_file
from nasplug.results.classifier import Classifier
from nasplug.results.export.file_format import Format, Metadata, Opened, require
from nasplug.results.export.pt2_files import export_program
from nasplug.values.checksum import CHECKSUM, checksum

EXTRA = "onnx"
SEAL = b"\x72\x1c\x0a\x08" + CHECKSUM.encode() + b"\x12\x10"
"""What stands before the 16 digits of the checksum at the end of a file: with them one more entry of `metadata_props`,
as protobuf writes it, so that other programs read the file as if it had always been there."""


def _encode(classifier: Classifier, metadata: Metadata) -> bytes:
    # The file is checked with onnxruntime; torch writes it with onnxscript, if it has to.
    require(EXTRA, "onnx", "onnxruntime", "onnxscript")
    import onnx

    from nasplug.deployment.onnx_model import Untranslated, write_classifier
    from nasplug.deployment.onnx_shrinking import shrink

    try:
        graph = deployed_graph(classifier.net, classifier.tensor_shape)
        mean, std = classifier.mean.tolist(), classifier.std.tolist()
        model = write_classifier(graph, mean, std, classifier.task.answer_layer, classifier.dtype)
    except Untranslated:
        model = _write_by_torch(classifier)
    shrink(model)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return _seal(model.SerializeToString())


def _write_by_torch(classifier: Classifier) -> Any:
    program = torch.onnx.export(
        export_program(classifier),
        input_names=["images"],
        output_names=[classifier.task.answer_layer.name],
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101 - only the exporter that nasplug does not use gives none
    return program.model_proto


def _encode_int8(classifier: Classifier, metadata: Metadata, images: Tensor) -> bytes:
    content = _encode(classifier, metadata)
    import onnx

    from nasplug.deployment.quantisation import quantise

    quantised = quantise(onnx.load_from_string(content), images.numpy())
    onnx.helper.set_model_props(quantised, dict(metadata))
    onnx.checker.check_model(quantised, full_check=True)
    return _seal(quantised.SerializeToString())


def _seal(content: bytes) -> bytes:
    return content + SEAL + checksum([content]).encode()


def _unseal(content: bytes) -> bytes:
    """A file without its checksum; FormatError if that is not its own. Versions before 0.2 wrote none."""
    model, seal, digits = content[: -len(SEAL) - 16], content[-len(SEAL) - 16 : -16], content[-16:]
    if seal != SEAL:
        return content
    if digits != checksum([model]).encode():
        raise FormatError("it does not match its checksum")
    return model


def _count_nodes(content: bytes) -> int:
    import onnx

    return len(onnx.load_from_string(content).graph.node)


def _read(path: Path) -> Opened:
    require(EXTRA, "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    content = _unseal(read_file(path, "exported file"))
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def predict(images: Tensor) -> Tensor:
        (answers,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(answers)

    return Opened.described_by(session.get_modelmeta().custom_metadata_map, predict)


ONNX = Format(_encode, _read, _encode_int8, _count_nodes)
