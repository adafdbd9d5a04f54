from __future__ import annotations

import re

import pytest

from nasplug.builtin.darts import Darts
from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.nb201.table import DATA_SETS, find_data_set, read_table
from nasplug.errors import InputError
from nasplug.values import ImageShape, KnownResult

CIFAR10, CIFAR100, IMAGENET16 = DATA_SETS
TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"
HEAD = "index,arch_str,cifar10_valid_acc,cifar10_test_acc,cifar100_valid_acc,cifar100_test_acc"


def table(*rows, head=HEAD):
    return "\n".join([head, *rows, ""]).encode()


def test_a_table_gives_the_errors_of_the_run_s_own_data_set():
    content = table(f"7,{TEXT},90.769333,93.66,69.5,70.25")
    genotype = NasBench201().parse(TEXT)
    assert dict(read_table(content, CIFAR10)) == {genotype: KnownResult(0.09230667, 0.0634)}
    assert len(read_table(content + f"8,{TEXT},90.769333,93.66,1,1\n".encode(), CIFAR10)) == 1
    assert dict(read_table(b"\xef\xbb\xbf" + content, CIFAR100)) == {genotype: KnownResult(0.305, 0.2975)}


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (table(), "has no architectures"),
        (b"", "lacks the column 'arch_str', 'cifar10_valid_acc', 'cifar10_test_acc'"),
        (b"\xff\xfe\x00a", "is not CSV"),
        (b"\0" * 50, "lacks the column|is not CSV"),
        (table(f"7,{TEXT},90,93", head="index,arch_str,cifar10_valid_acc"), "lacks the column 'cifar10_test_acc'"),
        (table(f"7,{TEXT},90,93,1,1", f"8,{TEXT[:-1]},90,93,1,1"), "line 3: An architecture is JSON or written"),
        (table(f"7,{TEXT},90,,1,1"), "line 2: 'cifar10_test_acc' must be an accuracy from 0 to 100, but it is ''"),
        (table(f"7,{TEXT},90"), "but it is None"),
        (table(f"7,{TEXT},90,nan,1,1"), "but it is 'nan'"),
        (table(f"7,{TEXT},190,90,1,1"), "but it is '190'"),
        (table(f'7,"{TEXT},190,90,1,1'), "is not CSV"),
        (table(f"7,{TEXT},90,93,1,1", f"8,{TEXT},90,94,1,1"), "line 3: .* a second time, with other accuracies"),
    ],
)
def test_a_damaged_table_is_refused_in_a_sentence(content, remedy):
    with pytest.raises(InputError, match=remedy):
        read_table(content, CIFAR10)


@pytest.mark.parametrize(
    ("name", "shape", "data_set"),
    [
        ("cifar10", ImageShape(3, 32, 10), CIFAR10),
        ("CIFAR-100", ImageShape(3, 32, 100), CIFAR100),
        ("ImageNet16-120", ImageShape(3, 16, 120), IMAGENET16),
    ],
)
def test_data_sets_are_known_by_name_and_form(name, shape, data_set):
    assert find_data_set(name, shape) is data_set


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cifar10", ImageShape(3, 32, 100)),
        ("cifar10", ImageShape(3, 16, 10)),
        ("digits", ImageShape(3, 32, 10)),
        ("fashion-mnist", ImageShape(1, 28, 10)),
    ],
)
def test_other_images_are_refused(name, shape):
    message = f"the data set is '{name}' with {shape.classes} classes of {shape.size} pixels"
    with pytest.raises(InputError, match=re.escape(message)):
        find_data_set(name, shape)


def test_the_space_reads_the_table_for_networks_of_its_default_size():
    content = table(f"7,{TEXT},90.769333,93.66,69.5,70.25")
    space = NasBench201()
    assert dict(space.table_size) == space.size()
    results = space.read_results(content, "cifar10", ImageShape(3, 32, 10))
    assert dict(results) == {space.parse(TEXT): KnownResult(val_error=0.09230667, test_error=0.0634)}


def test_other_spaces_read_no_tables():
    assert Darts.table_size is None
    assert Darts().read_results(table(), "cifar10", ImageShape(3, 32, 10)) is None
