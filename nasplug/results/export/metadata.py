"""What an exported file says of itself, in every format alike."""

from __future__ import annotations

import json

from nasplug.plugins.located_names import split_location
from nasplug.results.classifier import Classifier
from nasplug.results.result import TrainedNetwork
from nasplug.store.result import read_result


def metadata_of(network: TrainedNetwork, classifier: Classifier, batch: str) -> dict[str, str]:
    """Text by key; lists, numbers and objects are JSON. `nasplug` holds what nasplug needs to build the network.

    `batch` is the number of images that the file takes at a time, or N for any number.
    """
    data = classifier.facts["data"]
    shape = f"({batch}, {', '.join(map(str, classifier.tensor_shape))})"
    kind = "signals of one row, " if classifier.dims == 1 else ""
    values = "raw pixels from 0 to 255" if classifier.dtype == "uint8" else "raw values"
    result = read_result(network.run.path)
    # What follows the name of a data set is a path, which means nothing to those who are given the file.
    name, _ = split_location(network.plugins, "dataset", result.dataset)
    run = {"method": result.method, "seed": result.seed, "dataset": name}
    record = {key: network.record[key] for key in ("id", "role", "params", "macs", "val_error", "test_error")}
    architecture = {key: classifier.facts[key] for key in ("genotype", "reference") if key in classifier.facts}
    answers = classifier.task.answer_layer.name
    facts = {**run, **record, **architecture, **data}
    return {
        "input": f"images: {kind}{classifier.dtype} {shape}, {values}",
        "output": f"{answers}: float32 ({batch}, {len(classifier.classes)}), in the order of classes",
        **{key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()},
        "nasplug": json.dumps(classifier.facts),
    }
