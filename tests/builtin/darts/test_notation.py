from __future__ import annotations

import re

import pytest
import torch

from nasplug.builtin.darts import Darts
from nasplug.errors import InputError
from nasplug.values import ImageShape


def test_nodes_left_out_of_the_concat_narrow_the_output():
    space, shape = Darts(cells=1, channels=4, nodes=3), ImageShape(1, 8, 3)
    text = (
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('sep_conv_3x3', 2)], normal_concat=[3, 4],"
        "reduce=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 2)], reduce_concat=range(2, 5))"
    )
    genotype = space.parse(text)
    assert genotype["normal/concat"] == ("3", "4")
    assert "reduce/concat" not in genotype.places
    assert space.parse(genotype.to_json()) == genotype
    assert space.network(genotype, shape).outputs(torch.randn(2, 1, 8, 8)).taps[0].shape[1] == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Genotype(normal=[('sepconv_3x3', 0), ('skip_connect', 1)], reduce=[])", "Did you mean 'sep_conv_3x3'"),
        ("Genotype(normal=[('none', 0), ('skip_connect', 1)], reduce=[])", "no operation 'none'"),
        ("Genotype(normal=[('skip_connect', 2), ('skip_connect', 1)], reduce=[])", "from 0 to 1"),
        (
            "Genotype(normal=[('skip_connect', 0)] , normal_concat=range(2, 4), reduce=[])",
            "1 edges, which do not divide equally among 2 nodes",
        ),
        ("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2, 2], reduce=[])", "distinct"),
        ("Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)])", "lacks the field 'reduce'"),
        ("Genotype(normal=[('skip_connect', '0'), ('skip_connect', 1)], reduce=[])", "('operation', input)"),
        ("Genotype(norml=[])", "Did you mean 'normal'"),
        ("Genotype(normal=__import__('os').getcwd(), reduce=[])", "__import__('os').getcwd()"),
        ("Genotype(normal=[], normal_concat=range(10**9), reduce=[])", "but not"),
        ("print('hello')", "neither"),
        ("Genotype(", "neither JSON nor"),
        ('{"schema": 1, "space": "nb201", "picks": {}}', "belongs to the space 'nb201'"),
        ('{"schema": 1, "space": "darts", "picks": {"normal/2": ["skip_connect@0"]}}', "'normal' and 'reduce'"),
        ('{"schema": 1, "space": "darts", "picks": {"0/2": []}}', "at least one"),
        ('{"schema": 1, "space": "darts", "picks": {"0/2": ["skip_connect"]}}', "operation@input"),
        ('{"schema": 1, "space": "darts", "picks": {"0/3": ["skip_connect@0"]}}', "numbered from 2"),
        ('{"schema": 1, "space": "darts", "picks": {"0/2": ["skip_connect@0"], "0/concat": ["3"]}}', "must list nodes"),
    ],
)
def test_what_is_wrong_with_a_genotype_is_said(text, words):
    with pytest.raises(InputError, match=re.escape(words)):
        Darts().parse(text)


def test_published_notations_agree():
    flat = (
        "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 2), ('sep_conv_3x3', 1)],"
        " normal_concat=range(2, 4), reduce=[('skip_connect', 1), ('skip_connect', 0)])"
    )
    nested = (
        "DARTS_V9 = Genotype([[('skip_connect', 0), ('sep_conv_3x3', 1)], [('skip_connect', 2), ('sep_conv_3x3', 1)]],"
        " (2, 3), [[('skip_connect', 0), ('skip_connect', 1)]], [2])"
    )
    assert Darts().parse(flat) == Darts().parse(nested)
