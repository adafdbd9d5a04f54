"""safetensors: the weights, and what nasplug needs to build the network."""

from __future__ import annotations

from pathlib import Path

from safetensors import safe_open

from nasplug.plugins import load_plugins
from nasplug.results.classifier import Classifier
from nasplug.results.export.file_format import Format, Metadata, Opened
from nasplug.store.files import encode_tensors
from nasplug.values.checksum import CHECKSUM


def _encode(classifier: Classifier, metadata: Metadata) -> bytes:
    return b"".join(encode_tensors(classifier.net.state_dict(), metadata))


def _read(path: Path) -> Opened:
    """Also the weights of a run, whose metadata are only what the network is built from."""
    net = Classifier.read(path, load_plugins())
    with safe_open(path, framework="pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != CHECKSUM}
    return Opened(net, metadata, net.classes, net.channels, net.size, net.bits, net.task, net.dims, net.dtype)


SAFETENSORS = Format(_encode, _read)
