from __future__ import annotations

import json

import pytest

from nasplug.builtin.mbconv import MBConvSpace
from nasplug.errors import InputError

STEM = ["ds_r1_k3_s1_c16_se0.25"]


def read(*groups):
    return MBConvSpace().parse(json.dumps([STEM, *groups]))


def test_strings_become_cells_and_operations():
    genotype = read(
        ["ir_r1_k7_s2_e6_c24_se0.25", "ir_r2_k5_s1_e3_c24_se0.25"],
        ["ir_r2_k3_s2_e4_c500_se0.25"],
        ["ir_r1_k3_s1_e6_c40_se0.25"],
    )
    assert genotype.picks == (
        *(("0/cell", ("3x24s2",)), ("0/1", ("k7e6",)), ("0/2", ("k5e3",)), ("0/3", ("k5e3",))),
        *(("1/cell", ("2x500s2",)), ("1/1", ("k3e4",)), ("1/2", ("k3e4",))),
        *(("2/cell", ("1x40s1",)), ("2/1", ("k3e6",))),
    )


def test_text_in_no_notation_of_the_space_is_refused_with_the_notations():
    with pytest.raises(InputError, match=r"JSON, or block strings as a JSON list of lists.*: '\|none~0\|'"):
        MBConvSpace().parse("|none~0|")


def test_the_order_of_fields_does_not_matter():
    assert read(["ir_c24_e6_k3_r1_s1_se0.25"]) == read(["ir_r1_k3_s1_e6_c24_se0.25"])


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (["ir_r1_k3_s1_e6_c24"], "lacks 'se'"),
        (["ir_r1_k3_s1_e6_c24_se0.5"], "has 0.5"),
        (["ir_r1_k3_s1_e6_c24_se0.25_nre"], "'nre'"),
        (["ir_r1_k3_s1_e6_c24_se0.25_noskip"], "'noskip'"),
        (["ir_r1_k3_s1_e6_c24_se0.25_se0.25"], "'se0.25'"),
        (["ir_r1_k3_s3_e6_c24_se0.25"], "stride 1 or 2"),
        (["ir_r0_k3_s1_e6_c24_se0.25"], "a cell is written"),
        (["ir_r1_k4_s1_e6_c24_se0.25"], "odd kernel"),
        (["ir_r1_k3_s1_e4.5_c24_se0.25"], "an operation is written"),
        (["ir_r1_k3.5_s1_e6_c24_se0.25"], "an operation is written"),
        (["er_r1_k3_s1_e6_c24_se0.25"], "kind 'ir'"),
        (["ds_r1_k3_s1_c16_se0.25"], "kind 'ir'"),
        ([7], "kind 'ir'"),
        (["ir_r1_k3_s1_e6_c24_se0.25", "ir_r1_k3_s1_e6_c40_se0.25"], "a list of its own"),
        (["ir_r1_k3_s1_e6_c24_se0.25", "ir_r1_k3_s2_e6_c24_se0.25"], "In list 2"),
        (["ir_r60_k3_s1_e6_c24_se0.25", "ir_r60_k3_s1_e6_c24_se0.25"], "at most 99 layers"),
        ([], "list of lists"),
    ],
)
def test_what_the_space_cannot_build_is_refused_in_a_sentence(group, words):
    with pytest.raises(InputError, match=words):
        read(group)


@pytest.mark.parametrize(
    "stem",
    [
        ["ds_r1_k3_s1_c24_se0.25"],
        ["ds_r2_k3_s1_c16_se0.25"],
        ["ds_r1_k3_s1_c16"],
        ["ds_r1_k3_s1_e6_c16_se0.25"],
        ["ds_r1_k3_s1_c16_se0.25", "ds_r1_k3_s1_c16_se0.25"],
    ],
)
def test_another_stem_is_refused(stem):
    with pytest.raises(InputError, match=r"begins with 'ds_r1_k3_s1_c16_se0\.25' alone"):
        MBConvSpace().parse(json.dumps([stem, ["ir_r1_k3_s1_e6_c24_se0.25"]]))


@pytest.mark.parametrize("text", ["[", "[[", "[]", "[[]]", '["ds_r1_k3_s1_c16_se0.25"]', "[" * 100_000, "", "ir_r1"])
def test_damaged_text_is_refused(text):
    with pytest.raises(InputError):
        MBConvSpace().parse(text)
