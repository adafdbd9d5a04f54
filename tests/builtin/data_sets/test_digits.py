from __future__ import annotations

from importlib.machinery import ModuleSpec

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nasplug.builtin.data_sets import digits
from nasplug.builtin.data_sets.digits import Digits
from nasplug.data.splits import make_splits
from nasplug.errors import InputError


def test_digits_are_those_of_scikit_learn_on_the_scale_of_bytes():
    data = Digits().load("", None, False)
    original = load_digits()
    assert (data.size, data.channels, data.flips, data.shift, data.test) == (8, 1, False, 1, None)
    assert data.classes == tuple("0123456789")
    pixels = data.train.read(range(1797))[:, 0].numpy()
    np.testing.assert_array_equal(np.round(pixels / 255 * 16), original.images)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert data.train.labels.tolist() == original.target.tolist()


def test_digits_are_enough_for_the_default_splits():
    splits = make_splits(Digits().load("", None, False), seed=0)
    assert (len(splits.test), len(splits.validation), len(splits.train)) == (359, 300, 1138)


@pytest.mark.parametrize("installed", [True, False])
def test_a_missing_file_is_said_with_the_place_where_it_was_looked_for(installed, monkeypatch, tmp_path):
    package = ModuleSpec("sklearn", None, is_package=True)
    assert package.submodule_search_locations is not None
    package.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(digits, "find_spec", lambda name: package if installed else None)
    with pytest.raises(InputError, match=str(tmp_path) if installed else "is not installed"):
        Digits().load("", None, False)


def test_a_location_is_refused():
    with pytest.raises(InputError, match="'digits' has no location"):
        Digits().load("somewhere", None, False)
