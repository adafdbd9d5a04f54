"""A network that `nasplug export --format python` has written, as a LiteRT model, compared with it in LiteRT's runtime.

    nasplug export RUN --format python --out flowers.py
    uv run --no-project --python 3.11 --with litert-torch --with "torch<2.15" examples/to_litert.py flowers.py

Writes `flowers.tflite`, which takes one image, uint8 or float32 (1, C, H, W), and gives what the code gives. It needs
neither nasplug nor the torch that the network was trained with: litert-torch 0.10 wants one below 2.15. The images to
compare on are those of `--images FILE.npy` (N, C, H, W), or random ones.
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

import numpy as np
import torch


def read_images(path: Path | None, shape: tuple[int, ...], dtype: str) -> torch.Tensor:
    """Images (N, C, H, W) from a file, or 64 random ones."""
    if path is not None:
        return torch.from_numpy(np.load(path))
    generator = torch.Generator().manual_seed(0)
    if dtype == "uint8":
        return torch.randint(0, 256, (64, *shape), dtype=torch.uint8, generator=generator)
    return torch.randn(64, *shape, generator=generator)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path, help="FILE.py, with FILE.pt beside it")
    parser.add_argument("--images", type=Path)
    arguments = parser.parse_args()
    import litert_torch
    from ai_edge_litert.interpreter import Interpreter

    code = runpy.run_path(str(arguments.source))
    net, about = code["load"](), code["ABOUT"]
    dtype = about.get("dtype", "uint8")
    size = int(about["size"])
    sides = (1, size) if about.get("dims") == "1" else (size, size)
    images = read_images(arguments.images, (int(about["channels"]), *sides), dtype)
    model = litert_torch.convert(net, (images[:1],))
    target = arguments.source.with_suffix(".tflite")
    model.export(str(target))

    interpreter = Interpreter(model_path=str(target), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in images.split(1):
        interpreter.set_tensor(given["index"], image.numpy())
        interpreter.invoke()
        answers.append(torch.from_numpy(interpreter.get_tensor(answer["index"]).copy()))
    with torch.inference_mode():
        expected = net(images)
    difference = (torch.cat(answers) - expected).abs().max()
    agree = (torch.cat(answers).argmax(1) == expected.argmax(1)).float().mean()
    print(  # noqa: T201 - printing is what this example is for
        f"{target}: {target.stat().st_size:,} bytes. On {len(images)} images: largest difference {difference:.1e}, "
        f"{100 * agree:.2f} % of the predictions agree."
    )


if __name__ == "__main__":
    main()
