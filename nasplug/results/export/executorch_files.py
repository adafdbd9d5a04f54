"""executorch: programs for phones and small devices, one image at a time."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from nasplug.deployment.executorch_program import RawImages, load_program, quiet, write_program
from nasplug.deployment.graph import deployed_graph
from nasplug.formats.regular_file import read_file
from nasplug.results.classifier import Classifier
from nasplug.results.export.file_format import Format, Metadata, Opened, require

EXTRA = "executorch"


def _encode(classifier: Classifier, metadata: Metadata, images: Tensor | None = None) -> bytes:
    with quiet():
        require(EXTRA, "executorch.exir", "torchao.quantization.pt2e")
    shape = classifier.tensor_shape
    mean, std = classifier.mean.tolist(), classifier.std.tolist()
    net = RawImages(deployed_graph(classifier.net, shape), mean, std, classifier.task.answer_layer, classifier.dtype)
    return write_program(net, shape, metadata, images)


def _read(path: Path) -> Opened:
    with quiet():
        require(EXTRA, "executorch.runtime")
    predict, metadata = load_program(read_file(path, "exported file"))
    return Opened.described_by(metadata, predict)


EXECUTORCH = Format(_encode, _read, _encode, suffix="pte", batch="1")
