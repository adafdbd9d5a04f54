"""What a program has set for torch neither reaches a run nor is changed by it."""

from __future__ import annotations

import torch

from nasplug.results.torch_state import IsolatedTorchState


def test_a_run_has_gradients_and_float32_and_the_program_what_it_had():
    state = IsolatedTorchState()
    torch.set_default_dtype(torch.float64)
    try:
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                with state.active():
                    weight = torch.ones(2, requires_grad=True)
                    weight.square().sum().backward()
                    assert (weight.grad.tolist(), weight.dtype) == ([2, 2], torch.float32)
                assert not torch.is_grad_enabled()
                assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
                assert torch.get_default_dtype() is torch.float64
        assert torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_run_keeps_its_own_gradient_mode_between_steps():
    state = IsolatedTorchState()
    with state.active():
        torch.set_grad_enabled(False)  # as a step that stops in a block without gradients does
    assert torch.is_grad_enabled()
    with state.active():
        assert not torch.is_grad_enabled()
