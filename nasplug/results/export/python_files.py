"""python: readable code of plain torch, with the weights in a second file."""

from __future__ import annotations

import ast
import runpy
from io import BytesIO
from pathlib import Path

import torch
from torch.fx import GraphModule

from nasplug.deployment.graph import deployed_graph
from nasplug.deployment.python_source import collect_weights, write_source
from nasplug.formats.fields import TEXT, check_fields, object_of
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import check_file, decode, read_file
from nasplug.results.classifier import Classifier
from nasplug.results.export.file_format import WEIGHTS, Format, Metadata, Opened
from nasplug.results.export.pt2_files import check_archive

NAMES = frozenset({"ABOUT", "CLASSES", "MEAN", "STD", "normalise", "Network", "load"})
"""What the code defines."""


def _encode(classifier: Classifier, metadata: Metadata) -> bytes:
    mean, std = classifier.mean.tolist(), classifier.std.tolist()
    answers = classifier.task.answer_layer
    return write_source(_plain_graph(classifier), mean, std, metadata, answers, classifier.dtype).encode()


def _encode_weights(classifier: Classifier) -> bytes:
    buffer = BytesIO()
    torch.save(collect_weights(_plain_graph(classifier)), buffer)
    return buffer.getvalue()


def _plain_graph(classifier: Classifier) -> GraphModule:
    """The graph with its batch norms, which can only be folded with a rounding error."""
    return deployed_graph(classifier.net, classifier.tensor_shape, folded=False)


def _read(path: Path) -> Opened:
    """Runs the code, once it is seen to have the form that nasplug gives it, which protects from mistakes alone."""
    metadata = _read_metadata(decode(read_file(path, "exported file")))
    weights = path.with_suffix(WEIGHTS)
    check_file(weights, "file of weights")
    check_archive(weights)
    return Opened.described_by(metadata, runpy.run_path(str(path))["load"]())


def _read_metadata(source: str) -> Metadata:
    """The value of ABOUT, without running the code; FormatError for code that nasplug has not written."""
    values: dict[str, ast.expr] = {}
    defined: list[str] = []
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign([ast.Name(name)], value):
                values[name] = value
                defined.append(name)
            case ast.FunctionDef(name) | ast.ClassDef(name):
                defined.append(name)
            case ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
                pass
            case _:
                raise FormatError(f"line {statement.lineno} is no definition")
    if set(defined) != NAMES:
        raise FormatError("it does not define what nasplug writes into such files")
    about = ast.literal_eval(values["ABOUT"])
    check_fields({"ABOUT": about}, {"ABOUT": object_of(TEXT)})
    metadata: Metadata = about
    return metadata


PYTHON = Format(_encode, _read, suffix="py", weights=_encode_weights, rebuilds=False)
