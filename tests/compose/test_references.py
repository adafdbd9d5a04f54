from __future__ import annotations

import pytest

from nasplug.builtin.references.residual import Plain
from nasplug.builtin.references.timm_networks import TimmReference
from nasplug.compose import build_reference
from nasplug.errors import InputError
from nasplug.plugins import load_plugins

PLUGINS = load_plugins()


def test_a_name_stands_for_a_reference_network_with_its_options():
    assert build_reference(PLUGINS, "plain") == build_reference(PLUGINS, "nasplug:plain") == Plain()
    assert build_reference(PLUGINS, "plain", {"width": 0.5}) == Plain(width=0.5)
    assert build_reference(PLUGINS, "timm:resnet18.a1:b") == TimmReference(model="resnet18.a1:b")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnet", r"There is no reference network 'resnet'\. Did you mean 'resnet8'\?"),
        ("plain:large", "'plain' is written plain, but got 'plain:large'"),
        ("timm", "'timm' is written timm:NAME, but got 'timm'"),
    ],
)
def test_a_name_that_stands_for_none_is_refused(name, sentence):
    with pytest.raises(InputError, match=sentence):
        build_reference(PLUGINS, name)


def test_options_that_it_does_not_have_are_refused():
    with pytest.raises(InputError, match=r"reference plain has no option 'widht'\. Did you mean 'width'"):
        build_reference(PLUGINS, "plain", {"widht": 1.0})
