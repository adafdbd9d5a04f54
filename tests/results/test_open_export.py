"""Exported files are opened by their endings; damaged ones and those of other programs get a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nasplug.builtin.compact import Compact
from nasplug.deployment.executorch_program import quiet
from nasplug.errors import InputError
from nasplug.results.classifier import Classifier
from nasplug.results.export import FORMATS, open_export
from nasplug.results.export.file_format import WEIGHTS
from nasplug.results.export.formats import suffix_of
from nasplug.values import ImageShape
from nasplug.values.checksum import CHECKSUM, checksum

pytestmark = pytest.mark.slow

FORMS = [form for form in FORMATS if form != "executorch" or find_spec("executorch")]
IMAGES = torch.randint(0, 256, (5, 2, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
SPACE = Compact(stages=("s1 1x16",), channels=4)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    genotype = SPACE.random(Random(0))
    net = SPACE.network(genotype, ImageShape(channels=2, size=6, classes=3)).eval()
    data = {"classes": ["a", "b", "c"], "channels": 2, "size": 6, "mean": [0.5, 0.4], "std": [0.2, 0.3], "bits": None}
    space = {"part": "compact", "options": {"stages": ["s1 1x16"], "channels": 4}}
    return Classifier(net, {"space": space, "genotype": genotype.to_dict(), "data": data})


@pytest.fixture(scope="module")
def contents(classifier: Classifier) -> Mapping[str, bytes]:
    data = {name: json.dumps(value) for name, value in classifier.facts["data"].items()}
    metadata = {"id": "abc", "params": "12", **data, "nasplug": json.dumps(classifier.facts)}
    return {form: FORMATS[form].encode(classifier, metadata) for form in FORMS}


@pytest.fixture(params=FORMS)
def written(request, classifier, contents, tmp_path) -> Path:
    path: Path = tmp_path / f"net.{suffix_of(request.param)}"
    path.write_bytes(contents[request.param])
    weights = FORMATS[request.param].weights
    if weights is not None:
        path.with_suffix(WEIGHTS).write_bytes(weights(classifier))
    return path


def test_a_file_answers_like_the_network_and_knows_its_images(written: Path, classifier: Classifier) -> None:
    opened = open_export(written)

    torch.testing.assert_close(opened(IMAGES), classifier(IMAGES))
    assert (opened.classes, opened.channels, opened.size, opened.bits) == (("a", "b", "c"), 2, 6, None)
    assert opened.metadata["id"] == "abc"


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-20],
    "text": lambda content: b"These are the weights.\n" * 40,
    "noise": lambda content: np.random.default_rng(0).bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gets_a_sentence(written: Path, damage: str, capfd) -> None:
    written.write_bytes(DAMAGES[damage](written.read_bytes()))

    with pytest.raises(InputError, match="damaged") as caught:
        open_export(written)
    assert str(written) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("form", FORMS)
def test_one_changed_bit_of_the_weights_is_noticed(form, classifier, contents, tmp_path) -> None:
    path = tmp_path / f"net.{suffix_of(form)}"
    path.write_bytes(contents[form])
    weights = classifier.net.state_dict()["head.classifier.bias"].numpy().tobytes()
    if form == "python":
        path.with_suffix(WEIGHTS).write_bytes(FORMATS[form].weights(classifier))
    file = path.with_suffix(WEIGHTS) if form == "python" else path
    content = bytearray(file.read_bytes())
    content[content.index(weights) + 3] ^= 1
    file.write_bytes(content)

    with pytest.raises(InputError, match="does not match its checksum"):
        open_export(path)


def test_the_checksum_of_an_onnx_file_is_an_entry_of_its_metadata(contents, classifier, tmp_path) -> None:
    """Other programs read it; files without one, as versions before 0.2 wrote them, are read, too."""
    model = onnx.load_from_string(contents["onnx"])
    onnx.checker.check_model(model, full_check=True)
    last = model.metadata_props.pop()
    assert (last.key, last.value) == (CHECKSUM, checksum([model.SerializeToString()]))

    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    torch.testing.assert_close(open_export(path)(IMAGES), classifier(IMAGES))


def test_no_changed_byte_and_no_cut_of_an_onnx_file_changes_its_answers(contents, tmp_path) -> None:
    whole, path, generator = contents["onnx"], tmp_path / "net.onnx", Random(0)
    path.write_bytes(whole)
    answers, refused = open_export(path)(IMAGES), 0
    for _ in range(60):
        place, bit = generator.randrange(len(whole)), generator.randrange(8)
        changed = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
        for content in (changed, whole[:place]):
            path.write_bytes(content)
            try:
                assert torch.equal(open_export(path)(IMAGES), answers)
            except InputError as error:
                assert "damaged" in str(error)  # noqa: PT017 - what is not refused must answer the same
                refused += 1
    assert refused >= 110


class AddOne(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + 1


def add_one_as_program() -> bytes:
    with quiet():
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(AddOne(), (torch.zeros(2),))
        return bytes(to_edge_transform_and_lower(program).to_executorch().buffer)


def write_foreign(path: Path) -> None:
    """A valid file of another program."""
    if path.suffix == ".onnx":
        values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy"]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8), path)
    elif path.suffix == ".pt2":
        torch.export.save(torch.export.export(AddOne(), (torch.zeros(2),)), path)
    elif path.suffix == ".py":
        path.write_text(f"from pathlib import Path\nPath({str(path.parent / 'harm')!r}).touch()\n")
    elif path.suffix == ".pte":
        path.write_bytes(add_one_as_program())
    else:
        save_file({"weight": torch.zeros(2)}, path)


def test_a_file_of_another_program_gets_a_sentence(written: Path) -> None:
    write_foreign(written)

    with pytest.raises(InputError, match=r"nasplug has not written it|no network written by nasplug"):
        open_export(written)
    assert not (written.parent / "harm").exists()


def test_metadata_of_other_images_than_those_that_it_takes_are_refused(contents, tmp_path) -> None:
    model = onnx.load_from_string(contents["onnx"])
    for changes, reason in (
        ({"size": "7"}, "7"),
        ({"classes": '["a"]'}, r"answers in the form \(1, 3\) for 1 classes"),
        ({"classes": "a, b"}, "it is not JSON"),
        ({"channels": '"two"'}, "'channels' must be a whole number"),
    ):
        told = {each.key: each.value for each in onnx.load_from_string(contents["onnx"]).metadata_props}
        del told[CHECKSUM]
        onnx.helper.set_model_props(model, told | changes)
        onnx.save(model, tmp_path / "net.onnx")
        with pytest.raises(InputError, match=reason):
            open_export(tmp_path / "net.onnx")


def test_code_needs_its_weights(contents, tmp_path) -> None:
    (tmp_path / "net.py").write_bytes(contents["python"])
    with pytest.raises(InputError, match=r"file of weights .*net\.pt' cannot be read: No such file"):
        open_export(tmp_path / "net.py")


def test_other_endings_and_what_is_no_file_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"these end in \.onnx, .*\.safetensors"):
        open_export(tmp_path / "net.tflite")
    with pytest.raises(InputError, match="No such file"):
        open_export(tmp_path / "net.onnx")
    (tmp_path / "folder.pt2").mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        open_export(tmp_path / "folder.pt2")


@pytest.mark.parametrize(("form", "package"), [("onnx", "onnxruntime"), ("executorch", "executorch.runtime")])
def test_a_missing_package_is_named_with_the_remedy(form, package, classifier, tmp_path, monkeypatch) -> None:
    path = tmp_path / f"net.{suffix_of(form)}"
    path.write_bytes(b"content")
    for name in (package, "onnx", "executorch.exir"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (lambda: open_export(path), lambda: FORMATS[form].encode(classifier, {})):
        with pytest.raises(InputError, match=rf"pip install 'nasplug\[{form}\]'"):
            use()
