"""Several processes that share a training, as torchrun starts them, for a test."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from nasplug.engine.ranks import Ranks
from nasplug.values.share import Share

START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""Importing torch and the searches takes longer than these do: a server does it once, and forks every rank."""


def in_ranks(count: int, folder: Path, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `work(rank, count, *arguments)` returns in each of `count` processes of one group, by rank.

    Whatever ends the wait for them, such as the time limit of a test, ends them, too.
    """
    context = multiprocessing.get_context(START)
    context.set_forkserver_preload([work.__module__, __name__])
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    processes = [
        context.Process(target=_carry_out, args=(rank, count, str(folder / "group"), end, work, arguments))
        for rank, (_, end) in enumerate(pipes)
    ]
    try:
        for process in processes:
            process.start()
        for _, end in pipes:
            end.close()
        results = [_receive(own) for own, _ in pipes]
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.kill()
    assert [process.exitcode for process in processes] == [0] * count
    return results


def _receive(end: Any) -> Any:
    """What a process has sent; None if it has ended before."""
    try:
        return pickle.loads(end.recv_bytes())  # noqa: S301
    except EOFError:
        return None


def ranks(rank: int, count: int, sync_norms: bool = True) -> Ranks:
    """One of `count` ranks."""
    return Ranks(Share(rank, count), sync_norms)


def _carry_out(rank: int, count: int, group: str, end: Any, work: Callable[..., Any], arguments: tuple) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{group}", rank=rank, world_size=count)
    # Not `send`, which would leave tensors in memory that ends with this process.
    end.send_bytes(pickle.dumps(work(rank, count, *arguments)))
    distributed.barrier()
    distributed.destroy_process_group()
