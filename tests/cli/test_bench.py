from __future__ import annotations

import json

import pytest

SMALL = ("--preset", "tiny", "--size", "8", "--batch", "4", "--repeats", "2", "--threads", "1")
SMALL += ("--set", "space.nodes=2")


@pytest.mark.parametrize("method", ["darts", "snps"])
def test_the_supernet_of_a_method_is_measured_beside_the_plain_one(here, method):
    result = here("bench", "--method", method, *SMALL, "--json")

    found = json.loads(result.stdout)
    assert (found["device"], found["batch"], found["precision"]) == ("cpu", 4, "float32")
    for which in ("fast", "reference"):
        assert found[which]["images_per_second"] > 0
        assert found[which]["peak_memory_bytes"] > 10_000
        assert len(found[which]["seconds"]) == 2
    lower, upper = found["ratio_quartiles"]
    assert lower <= found["ratio"] <= upper
    (after,) = found["after_deletion"]
    assert after["candidates"] == pytest.approx(found["candidates"] / 2, abs=1)
    assert after["over_all_candidates"] > 0


def test_a_sampled_path_is_measured_as_it_is_trained(here):
    result = here("bench", *SMALL, "--set", "optimizer.part=single-path", "--deleted", "0")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0, result.stderr
    row = next(line for line in lines if line.startswith("all candidates"))
    assert int(row.split()[2]) < 20
    assert not any("deleted" in line for line in lines)


def test_spaces_without_a_plain_supernet_are_refused(here):
    result = here("bench", "--method", "dna", "--preset", "tiny", "--size", "8", "--batch", "2")

    assert result.exit_code == 2
    assert "There is no plain supernet of the space 'mbconv'" in result.stderr


def test_a_stand_alone_network_is_measured_beside_its_modules(here):
    words = ("bench", "--network", "--method", "snps", *SMALL, "--json")
    first, again, other = (json.loads(here(*words, "--seed", seed).stdout) for seed in ("1", "1", "2"))

    assert first["genotype"] == again["genotype"] != other["genotype"]
    assert first["params"] == again["params"] > 1000
    assert (first["batch"], first["precision"]) == (4, "float32")
    assert first["fast"]["images_per_second"] > 0 < first["reference"]["images_per_second"]
    given = json.loads(
        here(
            "bench", "--network", "--method", "snps", *SMALL, "--json", "--genotype", json.dumps(first["genotype"])
        ).stdout
    )
    assert (given["genotype"], given["params"]) == (first["genotype"], first["params"])


@pytest.mark.slow
def test_the_loop_of_a_search_is_measured_on_images(here, few_images):
    words = ("--method", "dnad", *SMALL[:2], "--batch", "8", "--repeats", "2", "--threads", "1")
    images = ("--data", f"arrays:{few_images}", "--set", "data.validation=0.0")
    result = here("bench", *words, *images, "--deleted", "0", "--json")

    found = json.loads(result.stdout)
    loop = found["loop"]
    assert (found["size"], found["batch"], found["after_deletion"]) == (8, 8, [])
    assert loop["seconds_per_step"] > 0 < loop["bare_seconds_per_step"]
    assert 0 < loop["data_share"] < 1
    assert loop["bare_seconds_per_step"] * (1 + loop["overhead"]) == pytest.approx(loop["ready_seconds_per_step"])
    assert loop["seconds_per_step"] * loop["data_share"] == pytest.approx(loop["data_seconds_per_step"])


def test_a_search_that_is_too_short_to_be_measured_is_refused(here, few_images):
    images = ("--data", f"arrays:{few_images}", "--set", "data.validation=0.0")
    result = here("bench", "--preset", "tiny", "--batch", "32", "--set", "search.epochs=1", *images)

    assert result.exit_code == 2
    assert "The search ended before it was measured" in result.stderr


def test_the_size_of_images_is_that_of_the_data(here, few_images):
    result = here("bench", "--data", f"arrays:{few_images}", "--size", "16")

    assert result.exit_code == 2
    assert "leave them out with --data" in result.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--data-root", "images"], "random images are measured and --data-root has no use; add --data NAME."),
        (["--set", "data.validation=0"], "and data.validation has no use"),
        (["--set", "data.name=cifar10"], "data.name has a flag of its own here; write --data cifar10."),
        (["--set", "search.batch_size=8"], "write --batch 8."),
        (["--set", "run.threads=2"], "write --threads 2."),
        (["--set", "run.device=cpu"], "write --device cpu."),
        (["--set", "data.root=my images"], "write --data-root 'my images'."),
        (["--batch", "1"], "2<=x"),
        (["--repeats", "1"], "2<=x"),
        (["--seed", "1"], "--seed is that of a stand-alone network, but the supernet is measured; add --network."),
        (["--network", "--seed", "1", "--genotype", "x"], "leave one of them out."),
        (["--network", "--data", "digits"], "so --data has no use"),
        (["--network", "--deleted", "0.2"], "has no candidates to delete"),
        (["--network", "--precision", "bf16"], "is measured in float32; leave out --precision bf16"),
        (["--deleted", "0.001"], "0.001 of the 80 candidates is none of them"),
    ],
)
def test_options_that_would_be_ignored_or_mean_nothing_are_refused(here, words, reason):
    result = here("bench", *SMALL[:8], *SMALL[-2:], *words)

    assert result.exit_code == 2
    assert reason in result.stderr


def test_supernets_and_networks_for_signals_are_measured(here):
    supernet = json.loads(here("bench", *SMALL, "--signals", "--json").stdout)
    assert (supernet["inputs"], supernet["size"]) == ("signals", 8)
    assert supernet["fast"]["images_per_second"] > 0
    told = here("bench", *SMALL[:8], "--network", "--space", "compact", "--signals").stdout
    assert "batches of 4 signals of 8 samples" in told
    assert "signals/s" in told
