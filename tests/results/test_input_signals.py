from __future__ import annotations

import numpy as np
import pytest
import torch

from nasplug.errors import InputError
from nasplug.results.input_signals import read_signal_file, read_signals

SIGNALS = torch.arange(24, dtype=torch.float32).reshape(3, 2, 4)


@pytest.mark.parametrize(
    "form", [torch.Tensor.numpy, torch.Tensor.double, torch.Tensor.tolist, lambda x: x[:, :, None]]
)
def test_signals_in_any_form(form):
    assert torch.equal(read_signals(form(SIGNALS), 2, 4, "float32"), SIGNALS[:, :, None])


@pytest.mark.parametrize("change", [torch.Tensor.requires_grad_, torch.Tensor.bfloat16])
def test_lists_of_tensors(change):
    given = [change(signal.clone()) for signal in SIGNALS]
    assert torch.equal(read_signals(given, 2, 4, "float32"), SIGNALS[:, :, None])


def test_two_dimensions_are_channels_or_signals():
    assert read_signals(SIGNALS[0], 2, 4, "float32").shape == (1, 2, 1, 4)
    assert read_signals(SIGNALS[0], 1, 4, "float32").shape == (2, 1, 1, 4)
    assert read_signals(SIGNALS[0, 0], 1, 4, "float32").shape == (1, 1, 1, 4)


@pytest.mark.parametrize(
    ("signals", "dtype", "message"),
    [
        (SIGNALS, "uint8", "2 x 4 float32, and this network takes signals of 2 x 4 uint8"),
        (SIGNALS[:, :, :3], "float32", "2 x 3 float32, and this network"),
        (SIGNALS[:, :1], "float32", "1 x 4 float32, and this network"),
        (SIGNALS.long(), "float32", "must be uint8 or float32"),
        (SIGNALS / 0, "float32", "NaN or infinity"),
        ("signals.npz", "float32", "must be uint8|cannot be read as signals"),
        ([[1.0], [1.0, 2.0]], "float32", "cannot be read as signals"),
        ([torch.zeros(4), torch.zeros(3)], "float32", "cannot be read as signals"),
        (SIGNALS.to("meta"), "float32", "a tensor without dense values"),
        (SIGNALS.to_sparse(), "float32", "a tensor without dense values"),
        ([SIGNALS[0].to("meta")], "float32", "a tensor without dense values"),
    ],
)
def test_what_signals_must_be(signals, dtype, message):
    with pytest.raises(InputError, match=message):
        read_signals(signals, 2, 4, dtype)


def test_files_of_signals(tmp_path):
    np.savez(tmp_path / "new.npz", signals=SIGNALS.numpy(), labels=np.zeros(3))
    assert torch.equal(read_signal_file(tmp_path / "new.npz", 2, 4, "float32"), SIGNALS[:, :, None])
    np.savez(tmp_path / "other.npz", images=SIGNALS.numpy())
    with pytest.raises(InputError, match="holds no array 'signals'"):
        read_signal_file(tmp_path / "other.npz", 2, 4, "float32")
