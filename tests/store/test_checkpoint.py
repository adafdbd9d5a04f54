"""A phase that is saved and loaded goes on as if it had not been."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random

import attrs
import numpy as np
import pytest
import torch
from nasplug_snps.shrink import Shrink
from safetensors.torch import load

from nasplug.builtin.darts.space import Darts
from nasplug.builtin.optimizers.bilevel import Bilevel
from nasplug.builtin.optimizers.one_level import OneLevel
from nasplug.data import BatchStream, MemoryImages, divide
from nasplug.engine import EagerRunner, Trainer, train
from nasplug.engine.ahead.cuda_graphs import GraphCache
from nasplug.engine.ahead.runner import AheadRunner
from nasplug.engine.plain.fixed import Fixed
from nasplug.engine.plain.keep import Keep
from nasplug.engine.plain.labels import LabelStage
from nasplug.errors import InputError, RunFailure
from nasplug.store.checkpoint import load_checkpoint, save_checkpoint
from nasplug.store.files import encode_tensors, read_tensors, write_atomically, write_tensors
from nasplug.testing.tape import TapeRecorder
from nasplug.values import ImageShape, Training

pytestmark = pytest.mark.slow

SHAPE = ImageShape(channels=1, size=8, classes=3)
CPU = torch.device("cpu")
SEARCHES = {
    "first order": (lambda: Bilevel(alpha_lr=0.1), Keep, "sgd", "edge"),
    "second order": (lambda: Bilevel(alpha_lr=0.1, order="second"), Keep, "sgd", "edge"),
    "shrinking": (
        lambda: OneLevel(alpha_lr=20.0),
        lambda: Shrink(pace="fit", s_min_fraction=0.2),
        "adam",
        "node",
    ),
}


def _images() -> MemoryImages:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (48, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return MemoryImages(pixels, np.arange(48) % 3)


def _streams(training, shares):
    options = {"training": training, "mean": (0.5,), "std": (0.3,), "flips": True, "shift": 1, "seed": 0, "phase": "p"}
    images = _images()
    parts = divide(np.arange(48), shares, 0)
    return {name: BatchStream(images, part, split=name, device=CPU, **options) for name, part in parts.items()}


def _search(name: str) -> Trainer:
    optimizer, schedule, weights, choices = SEARCHES[name]
    training = Training(epochs=4, batch_size=8, optimizer=weights, lr=0.01)
    torch.manual_seed(0)
    operations = ("nadd3",) if choices == "node" else ("darts7",)
    space = Darts(operations=operations, topology="per-cell", choices=choices, cells=2, channels=2, nodes=2)
    net = space.supernet(SHAPE)
    torch_optimizer = optimizer()
    streams = _streams(training, torch_optimizer.splits())
    return Trainer("search", net, torch_optimizer, schedule(), [LabelStage()], training, streams, CPU)


def _retraining() -> Trainer:
    training = Training(epochs=3, batch_size=8, drop_path=0.5, auxiliary=0.4)
    torch.manual_seed(0)
    space = Darts(operations=("nadd3",), topology="per-cell", choices="node", cells=3, channels=2, nodes=2)
    net = space.network(space.random(Random(0)), SHAPE, auxiliary=True)
    stage = LabelStage(smoothing=0.1, auxiliary_weight=0.4)
    return Trainer("retrain", net, Fixed(), Keep(), [stage], training, _streams(training, {"train": 1.0}), CPU)


@pytest.mark.parametrize(
    ("make", "stop_at", "ahead"),
    [
        *((make, stop_at, False) for make in (*SEARCHES, "retraining") for stop_at in (1, 7)),
        ("shrinking", 8, True),
        ("retraining", 8, True),
    ],
)
def test_going_on_equals_never_having_stopped(make, stop_at, ahead, tmp_path):
    def fresh() -> Trainer:
        return _retraining() if make == "retraining" else _search(make)

    def runner():
        return AheadRunner(4, GraphCache(TapeRecorder())) if ahead else EagerRunner()

    def state(trainer: Trainer):
        return trainer.net.state_dict(), [event.loss for event in events]

    path = tmp_path / "checkpoint.safetensors"
    trainer, events = fresh(), []
    trainer.begin(torch.Generator().manual_seed(1))
    for steps in runner().run(trainer):
        events += steps
        if trainer.step == stop_at:
            trainer.prune()
            save_checkpoint(path, trainer, len(events), 0.5)
    expected = state(trainer)

    torch.manual_seed(99)
    trainer = fresh()
    assert load_checkpoint(path, trainer) == (stop_at, 0.5)
    events = events[:stop_at] + list(train(trainer, runner()))
    actual = state(trainer)

    assert expected[1] == actual[1]
    assert expected[0].keys() == actual[0].keys()
    assert all(torch.equal(value, actual[0][name]) for name, value in expected[0].items())
    if make == "shrinking":
        assert not trainer.choices.kept.all()


def test_a_checkpoint_of_another_network_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, _retraining(), 0, 0.0)
    with pytest.raises(InputError, match="does not fit the phase 'search'") as caught:
        load_checkpoint(path, _search("first order"))
    assert len(str(caught.value)) < 500


def _renamed(choices):
    return (attrs.evolve(choices[0], name="9/2<-0"), *choices[1:])


def _reordered(choices):
    return (choices[0], attrs.evolve(choices[1], candidates=choices[1].candidates[::-1]), *choices[2:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_renamed, r"choice 1 is '9/2<-0' in it, but '0/2<-0' in the supernet\)"),
        (
            _reordered,
            r"candidate 1 of the choice '0/2<-1' is 'dil_conv_5x5' in it, but 'max_pool_3x3' in the supernet\)",
        ),
        (lambda choices: (), r"choice 1 is missing in it, but '0/2<-0' in the supernet\)"),
        (lambda choices: choices[:-1], r"choice 10 is missing in it, but '1/3<-2' in the supernet\)"),
    ],
)
def test_alpha_of_other_choices_or_candidates_is_refused_though_its_shape_is_the_same(change, words, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    trainer = _search("first order")
    save_checkpoint(path, trainer, 0, 0.0)
    tensors, facts = read_tensors(path, "checkpoint")
    assert facts["choices"] == [[choice.name, list(choice.candidates)] for choice in trainer.choices]
    others = [[choice.name, list(choice.candidates)] for choice in change(trainer.choices.choices)]
    write_tensors(path, tensors, facts | {"choices": others})
    with pytest.raises(InputError, match=words):
        load_checkpoint(path, _search("first order"))


def test_an_earlier_checkpoint_names_no_choices_and_is_loaded(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, _search("first order"), 3, 0.0)
    tensors, facts = read_tensors(path, "checkpoint")
    del facts["choices"]
    write_tensors(path, tensors, facts)
    assert load_checkpoint(path, _search("first order")) == (3, 0.0)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_damaged_files_are_named(content, tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        read_tensors(path, "checkpoint")


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << place % 8
    path.write_bytes(content)


def test_a_bit_that_flips_anywhere_in_a_file_of_tensors_is_noticed_or_does_no_harm(tmp_path):
    path = tmp_path / "file.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3), "c": torch.empty(0), "d": torch.ones(3) > 0}
    write_tensors(path, tensors | {"e": torch.ones(2, dtype=torch.bfloat16)}, {"step": 3})
    whole, passed = path.read_bytes(), 0
    for place in range(0, len(whole), 3):
        _flip(path, place)
        with suppress(InputError):
            read, facts = read_tensors(path, "checkpoint")
            assert facts == {"step": 3}
            assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
            passed += 1
        path.write_bytes(whole)
    assert passed < 10  # the name of the entry with the checksum, and the padding


def test_equal_content_gives_equal_files():
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(2)}
    metadata = dict.fromkeys("zyxwvut", "é")
    first = b"".join(encode_tensors(tensors, metadata))
    assert {b"".join(encode_tensors(tensors, dict(reversed(metadata.items())))) for _ in range(5)} == {first}
    assert {name: each.tolist() for name, each in load(first).items()} == {"a": [0, 1, 2], "b": 2}


def test_damaged_values_are_named_with_the_way_out(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, _retraining(), 0, 0.0)
    _flip(path, len(path.read_bytes()) - 5)
    with pytest.raises(InputError, match=r"does not match its checksum.*remove it, and 'nasplug resume' repeats"):
        load_checkpoint(path, _retraining())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("step", value) for value in ("3", -1, 10**9, 1.5, True)),
        *(("stage", value) for value in ("0", -1, 1)),
        *(("events", value) for value in ("3", -1, None)),
        *(("seconds", value) for value in ("3", -1.0, float("inf"), float("nan"))),
        ("phase", "retrain/other"),
    ],
)
def test_facts_of_a_checkpoint_have_types_and_ranges(tmp_path, name, value):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, _retraining(), 0, 0.0)
    tensors, facts = read_tensors(path, "checkpoint")
    write_tensors(path, tensors, facts | {name: value})
    with pytest.raises(InputError, match="does not fit the phase 'retrain'"):
        load_checkpoint(path, _retraining())


def test_links_are_replaced_not_followed(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    other.write_bytes(b"kept")
    path.symlink_to(other)
    (tmp_path / "file.draft").symlink_to(other)
    write_atomically(path, b"new")
    assert (path.read_bytes(), path.is_symlink(), other.read_bytes()) == (b"new", False, b"kept")


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")
    (tmp_path / "folder" / "file.draft").mkdir()
    with pytest.raises(RunFailure, match="what it held before is still there"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_numbers_that_torch_cannot_compute_with_are_refused(tmp_path):
    header = json.dumps(
        {"__metadata__": {"nasplug": "{}"}, "x": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}
    ).encode()
    header += b" " * (-len(header) % 8)
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(InputError, match=r"its tensor 'x' is of the type F4, with which torch cannot compute"):
        read_tensors(path, "weights")
