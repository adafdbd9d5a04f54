from __future__ import annotations

import gc

import pytest

from nasplug.runs.memory import paused_collection


def test_no_garbage_is_collected_in_the_block_and_then_as_before():
    with paused_collection():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collection_goes_on_after_an_error():
    with pytest.raises(ValueError, match="inside"), paused_collection():
        raise ValueError("inside")
    assert gc.isenabled()


def test_a_program_that_has_switched_collection_off_keeps_it_off():
    gc.disable()
    try:
        with paused_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
