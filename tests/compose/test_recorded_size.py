"""What a space records of the size of its networks is checked before a search, not after it."""

from __future__ import annotations

import attrs
import pytest

from nasplug.compose import check_recorded_size, compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import add_objects
from nasplug.testing.toy import Toy


@attrs.define
class Empty(Toy):
    def size(self):
        return {}


@attrs.define
class OtherWords(Toy):
    def size(self):
        return {"channels": self.channels, "depth": self.cells}


@attrs.define
class Fixed(Toy):
    """Records nothing, as its networks have one size."""

    def size(self):
        return {}

    def scaled(self, channels=None, cells=None):
        if channels or cells:
            raise InputError("Networks of this space have one size.")
        return self


@pytest.mark.parametrize("sizes", [{}, {"channels": 8}, {"cells": 4}, {"channels": 8, "cells": 4}])
def test_a_space_that_records_all_that_scaled_sets_is_accepted(sizes):
    check_recorded_size(Toy(), Toy().scaled(**sizes))


def test_an_option_that_is_lost_is_named_with_both_values():
    with pytest.raises(InputError) as failure:
        check_recorded_size(Empty(channels=4), Empty(channels=4).scaled(channels=8))
    assert str(failure.value) == (
        "The space 'toy' cannot build its networks again: 'scaled' sets channels=8, and 'size' returns {}, from which "
        "a network gets channels=4. Its author has to return from 'size' every option that 'scaled' changes."
    )


def test_a_word_that_is_no_option_is_named():
    with pytest.raises(InputError, match=r"which is not what its options are called .*no option 'depth'"):
        check_recorded_size(OtherWords(), OtherWords())


def test_a_space_of_one_size_need_not_record_it():
    check_recorded_size(Fixed(), Fixed().scaled())


def test_a_run_is_refused_before_its_search():
    layer = {
        "space": {"part": "python:test.Empty"},
        "optimizer": {"part": "bilevel"},
        "schedule": {"part": "keep"},
        "teacher": {"part": "labels"},
        "retrain": {"channels": 12, "auxiliary": 0.0},
        "run": {"method": "darts", "preset": "tiny"},
    }
    plugins = add_objects(load_plugins(quiet=True), {"space": ("python:test.Empty", Empty())})
    with pytest.raises(InputError, match="cannot build its networks again: 'scaled' sets channels=12"):
        compose(plugins, resolve(plugins, [layer]))
