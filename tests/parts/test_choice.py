from __future__ import annotations

import torch

from nasplug.parts import Choice, Choices


def table() -> Choices:
    return Choices([Choice("a", ("x", "y", "z")), Choice("b", ("x", "y"))])


def mask_of(choices: Choices, *columns: set[int]) -> torch.Tensor:
    width = choices.valid_mask.shape[1]
    return torch.tensor([[column in row for column in range(width)] for row in columns])


def test_only_what_the_innermost_mask_holds_counts():
    choices = table()
    outer, inner = mask_of(choices, {0, 2}, {1}), mask_of(choices, {2}, set())
    with choices.only(outer):
        assert choices.active_columns == ((0, 2), (1,))
        with choices.only(inner):
            assert choices.active_columns == ((2,), ())
            assert torch.equal(choices.active_mask, inner)
            assert torch.equal(choices.weights(), inner.float())
        assert choices.active_columns == ((0, 2), (1,))
        assert choices.active_names("a") == ("x", "z")
    assert choices.active_columns == ((0, 1, 2), (0, 1))


def test_what_is_deleted_under_a_mask_stays_deleted():
    choices = table()
    with choices.only(mask_of(choices, {0, 1}, {0})):
        assert choices.delete(mask_of(choices, {1, 2}, set())) == 2
        assert choices.active_columns == ((0,), (0,))
    assert choices.active_columns == ((0,), (0, 1))


def test_kept_candidates_from_elsewhere_count_after_a_refresh():
    choices = table()
    choices.load_state_dict({**choices.state_dict(), "kept": mask_of(choices, {1}, {0, 1})})
    choices.refresh()
    assert choices.active_columns == ((1,), (0, 1))
    with choices.only(mask_of(choices, {0, 1}, {0})):
        assert choices.active_columns == ((1,), (0,))
