from __future__ import annotations

import torch

from nasplug.parts import Choice, Choices


def table() -> Choices:
    return Choices([Choice("a", ("x", "y", "z")), Choice("b", ("x", "y"))])


def mask_of(choices: Choices, *columns: set[int]) -> torch.Tensor:
    width = choices.exists.shape[1]
    return torch.tensor([[column in row for column in range(width)] for row in columns])


def test_only_what_the_innermost_mask_holds_counts():
    choices = table()
    outer, inner = mask_of(choices, {0, 2}, {1}), mask_of(choices, {2}, set())
    with choices.only(outer):
        assert choices.alive == ((0, 2), (1,))
        with choices.only(inner):
            assert choices.alive == ((2,), ())
            assert torch.equal(choices.active, inner)
            assert torch.equal(choices.weights(), inner.float())
        assert choices.alive == ((0, 2), (1,))
        assert choices.alive_of("a") == ("x", "z")
    assert choices.alive == ((0, 1, 2), (0, 1))


def test_what_is_deleted_under_a_mask_stays_deleted():
    choices = table()
    with choices.only(mask_of(choices, {0, 1}, {0})):
        assert choices.delete(mask_of(choices, {1, 2}, set())) == 2
        assert choices.alive == ((0,), (0,))
    assert choices.alive == ((0,), (0, 1))


def test_kept_candidates_from_elsewhere_count_after_a_refresh():
    choices = table()
    choices.load_state_dict({**choices.state_dict(), "kept": mask_of(choices, {1}, {0, 1})})
    choices.refresh()
    assert choices.alive == ((1,), (0, 1))
    with choices.only(mask_of(choices, {0, 1}, {0})):
        assert choices.alive == ((1,), (0,))
