from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from packaging.specifiers import SpecifierSet

from nasplug.builtin.methods import RANDOM
from nasplug.compose import (
    check_versions,
    compose,
    drop_other_measures,
    parse_setting,
    read_config,
    recipe_sections,
    resolve,
    resolve_recorded,
)
from nasplug.compose.resolve import default_method
from nasplug.errors import InputError
from nasplug.plugins import Plugins, load_plugins
from nasplug.values.recipe import SLOTS


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


def test_a_method_fills_every_slot(plugins):
    recipe = resolve(plugins, [{"run": {"method": "dnad"}}])

    names = {slot: recipe.parts[slot].name for slot in SLOTS}
    assert names == {
        "space": "darts",
        "optimizer": "one-level",
        "schedule": "shrink",
        "teacher": "features",
        "selector": "decoded",
    }
    assert set(recipe.plugins) == {"nasplug", "nasplug-snps", "nasplug-dnad"}


def test_without_a_name_the_preferred_method_is_taken_and_the_cores_own_is_the_last_resort(plugins):
    assert resolve(plugins, [{}]).run.method == "dnad"
    core = [registration for registration in plugins.registrations if registration.distribution == "nasplug"]
    assert default_method(attrs.evolve(plugins, registrations=core)) == "darts"
    rest = [registration for registration in core if not registration.preferred]
    with pytest.raises(InputError, match="name one with --method"):
        default_method(attrs.evolve(plugins, registrations=rest))
    second = attrs.evolve(next(one for one in core if one.preferred), distribution="another")
    assert default_method(attrs.evolve(plugins, registrations=[*core, second])) == "another:darts"


@pytest.mark.parametrize("method", ["darts", "random", "snps", "dnad"])
@pytest.mark.parametrize("preset", ["tiny", "laptop", "paper-cifar10", "paper-imagenet"])
def test_every_preset_of_every_method_composes(plugins, method, preset):
    recipe = resolve(plugins, [{"run": {"method": method, "preset": preset}}])

    assert compose(plugins, recipe).recipe == recipe


def test_the_paper_preset_of_snps_has_the_released_constants(plugins):
    recipe = resolve(plugins, [{"run": {"method": "snps", "preset": "paper-cifar10"}}])
    schedule, optimizer = recipe.parts["schedule"].options, recipe.parts["optimizer"].options
    released = {"gamma_0": 1e-4, "gamma_max": 0.1, "phi": 1.01, "k": 0.99, "n_max": 0.005, "t_max": 50, "tau": 0.9}
    released |= {"mu_0": 0.1, "rho": 1.5, "xi": 1.0, "s_min": 250.0, "threshold": 0.01, "pace": "paper", "warm_up": 0}

    assert {name: schedule[name] for name in released} == released
    assert (optimizer["alpha_lr"], optimizer["alpha_momentum"], optimizer["alpha_init"]) == (0.2, 0.0, 2.0)
    search = recipe.search
    assert (search.epochs, search.batch_size, search.optimizer, search.lr) == (120, 128, "adam", 5e-4)
    assert (search.lr_schedule, search.betas, search.weight_decay) == ("constant", (0.5, 0.999), 3e-4)
    assert (search.augment, recipe.data.validation, recipe.retrain.channels) == ("autoaugment-pillow", 0.0, 36)


def test_the_imagenet_preset_of_snps_has_the_released_constants(plugins):
    layers = [{"run": {"method": "snps", "preset": "paper-imagenet"}}, {"data": {"name": "folder:images"}}]
    recipe = resolve(plugins, layers)
    schedule, optimizer = recipe.parts["schedule"].options, recipe.parts["optimizer"].options
    released = {"gamma_0": 1e-6, "gamma_max": 1e-3, "phi": 1.01, "k": 0.99, "n_max": 5e-4, "t_max": 300, "tau": 0.99}
    released |= {"mu_0": 0.1, "rho": 1.5, "xi": 1.0, "s_min": 250.0, "threshold": 0.01, "pace": "paper", "warm_up": 5}

    assert {name: schedule[name] for name in released} == released
    assert (optimizer["alpha_lr"], optimizer["alpha_momentum"], optimizer["alpha_init"]) == (0.2, 0.9, 2.0)
    space = recipe.parts["space"].options
    assert (space["cells"], space["channels"], space["stem"], recipe.source.options["size"]) == (
        14,
        20,
        "imagenet",
        224,
    )
    search, retrain = recipe.search, recipe.retrain
    assert (search.epochs, search.batch_size, search.lr, search.augment) == (30, 256, 3e-4, "imagenet")
    assert (retrain.batch_size, retrain.lr, retrain.weight_decay, retrain.channels) == (512, 0.25, 3e-5, 48)
    assert (retrain.label_smoothing, retrain.auxiliary, retrain.drop_path, retrain.cutout) == (0.1, 0.4, 0.0, 0)


def test_paper_presets_compute_in_float32_unless_asked_for_another_precision(plugins):
    registered = [registration for registration in plugins.registrations if registration.slot == "method"]
    methods = {registration.name: plugins.resolve(registration) for registration in registered}
    presets = [(name, preset) for name, method in methods.items() for preset in method.presets if "paper" in preset]
    assert len(presets) >= 14
    for name, preset in presets:
        teacher = {"teacher": {"weights": "some.pth"}} if name == "dna" else {}
        asked = {"run": {"method": name, "preset": preset}, **teacher}
        assert resolve(plugins, [asked]).run.precision == "float32"
        assert resolve(plugins, [asked, {"run": {"precision": "bf16"}}]).run.precision == "bf16"
    assert resolve(plugins, [{"run": {"method": "darts", "preset": "laptop"}}]).run.precision == "auto"


def test_a_preset_has_options_of_the_run_but_chooses_neither_method_nor_preset(plugins, monkeypatch):
    presets = {"laptop": {"run": {"method": "darts", "preset": "tiny", "seed": 3}}}
    monkeypatch.setattr("nasplug.builtin.methods.RANDOM", attrs.evolve(RANDOM, presets=presets))
    run = resolve(plugins, [{"run": {"method": "random"}}]).run
    assert (run.method, run.preset, run.seed) == ("random", "laptop", 3)


def test_later_layers_win(plugins):
    layers = [{"run": {"method": "snps", "preset": "tiny"}}, {"space": {"channels": 6}}, {"space": {"channels": 7}}]

    assert resolve(plugins, layers).parts["space"].options["channels"] == 7
    assert resolve(plugins, layers[:2]).parts["space"].options["channels"] == 6


def test_the_preset_wins_over_the_method_and_keeps_its_other_options(plugins):
    space = resolve(plugins, [{"run": {"method": "snps", "preset": "paper-cifar10"}}]).parts["space"]

    assert space.options["channels"] == 16
    assert space.options["topology"] == "per-cell"


def test_replacing_a_part_drops_its_options_and_nothing_else(plugins):
    recipe = resolve(
        plugins, [{"run": {"method": "snps", "preset": "paper-cifar10"}, "optimizer": {"part": "bilevel"}}]
    )

    assert recipe.parts["optimizer"].options["alpha_lr"] == pytest.approx(3e-4)
    assert "alpha_momentum" not in recipe.parts["optimizer"].options
    assert recipe.search.lr == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("layer", "selector"),
    [
        ({"run": {"method": "darts"}}, "decoded"),
        ({"run": {"method": "dna"}}, "rating"),
        ({"run": {"method": "darts"}, "optimizer": {"part": "single-path"}}, "rating"),
        ({"run": {"method": "dna"}, "optimizer": {"part": "bilevel"}}, "rating"),
        ({"run": {"method": "dna"}, "optimizer": {"part": "bilevel"}, "selector": {"part": "decoded"}}, "decoded"),
    ],
)
def test_the_user_names_the_selector_or_the_method_or_the_optimizer(plugins, layer, selector):
    recipe = resolve(plugins, [layer])
    assert recipe.parts["selector"].name == selector
    assert compose(plugins, recipe).recipe.to_dict()["selector"]["part"] == selector


def test_options_of_the_rating_are_read_where_recipes_of_earlier_versions_have_them(plugins):
    old = {
        "sampling": "fair",
        "rating_share": 0.3,
        "rating_images": 5,
        "rating_limit": 6,
        "recalibration_images": 7,
        "trail": 8,
    }
    layer = {"run": {"method": "darts"}, "space": {"part": "nb201"}, "optimizer": {"part": "single-path", **old}}
    recipe = resolve(plugins, [layer])
    assert recipe.parts["optimizer"].options == {"sampling": "fair"}
    moved = {"share": 0.3, "images": 5, "limit": 6, "recalibration_images": 7, "trail": 8}
    assert recipe.parts["selector"].options == moved
    assert resolve(plugins, [{**layer, "selector": {"limit": 9}}]).parts["selector"].options == {**moved, "limit": 9}
    sections = recipe.to_dict()
    recorded = {**sections, "optimizer": {"part": "single-path", **old}}
    del recorded["selector"]
    assert resolve_recorded(plugins, recorded, Path("RUN")).to_dict() == sections
    with pytest.raises(InputError, match="rating_share"):
        resolve(plugins, [{**layer, "selector": {"part": "decoded"}}])


def test_a_run_repeats_its_own_recipe(plugins, tmp_path):
    import tomli_w

    recipe = resolve(plugins, [{"run": {"method": "dnad", "preset": "tiny", "seed": 3}, "data": {"name": "digits"}}])
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(recipe.to_dict()))

    assert resolve(plugins, [read_config(path, recipe_sections(plugins))]) == recipe


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"run": {"method": "snpz"}}, "Did you mean 'snps'"),
        ({"run": {"method": "dnad", "preset": "laptopp"}}, "Did you mean 'laptop'"),
        ({"space": {"part": "dartz"}}, "Did you mean 'darts'"),
        ({"space": {"chanels": 3}}, "Did you mean 'channels'"),
        ({"space": {"channels": "many"}}, "whole number"),
        ({"space": {"channels": -1}}, "channels"),
        ({"search": {"lr": 0}}, "above 0"),
        ({"search": {"optimizer": "adem"}}, "Did you mean 'adam'"),
        ({"search": {"ema": 0.9}}, r"search: .*retrain\.ema=0\.9"),
        ({"data": {"name": "digitz"}}, "Did you mean 'digits'"),
        ({"data": {"validatoin": 0.1}}, "validatoin"),
        ({"select": {"networks": 0}}, "at least 1"),
        ({"run": {"seed": True}}, "whole number"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(plugins, layer, words):
    with pytest.raises(InputError, match=words):
        resolve(plugins, [layer])


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ({"run": {"method": "snps"}, "optimizer": {"part": "random"}}, r"ranks candidates.*bilevel, one-level.*keep"),
        ({"run": {"method": "dnad"}, "schedule": {"part": "keep"}, "optimizer": {"part": "random"}}, "trains none"),
        ({"run": {"method": "random"}, "selector": {"part": "rating"}}, "needs a trained supernet.*that fit: decoded"),
        (
            {"run": {"method": "darts"}, "optimizer": {"part": "single-path"}, "selector": {"part": "decoded"}},
            r"Neither the optimizer 'single-path' .* the selector 'decoded' takes.*that fit: evolution, rating\.",
        ),
        (
            {"run": {"method": "darts"}, "optimizer": {"part": "single-path"}, "selector": {"share": 1.5}},
            "below 1",
        ),
        ({"run": {"method": "darts"}, "optimizer": {"order": "second"}, "search": {"optimizer": "adam"}}, "SGD"),
    ],
)
def test_parts_that_do_not_fit_are_refused_naming_those_that_do(plugins, layers, words):
    with pytest.raises(InputError, match=words):
        compose(plugins, resolve(plugins, [layers]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("search.epochs=10", ("search", "epochs", 10)),
        ("search.lr=1e-3", ("search", "lr", 1e-3)),
        ("search.optimizer=adam", ("search", "optimizer", "adam")),
        ("data.download=true", ("data", "download", True)),
        ("space.operations=['none', 'skip_connect']", ("space", "operations", ["none", "skip_connect"])),
    ],
)
def test_settings_are_read_as_toml_or_words(plugins, text, expected):
    assert parse_setting(text, recipe_sections(plugins)) == expected


@pytest.mark.parametrize("text", ["epochs=3", "search.epochs", "search.=3", "serach.epochs=3", "plugins.nasplug=1"])
def test_settings_of_another_form_are_refused(plugins, text):
    with pytest.raises(InputError):
        parse_setting(text, recipe_sections(plugins))


def test_a_change_of_plugin_versions_is_refused(plugins):
    check_versions(plugins, {"nasplug": next(r.version for r in plugins.registrations if r.distribution == "nasplug")})
    with pytest.raises(InputError, match=r"nasplug 99\.0.*now 0\."):
        check_versions(plugins, {"nasplug": "99.0"})
    with pytest.raises(InputError, match="not installed"):
        check_versions(plugins, {"nasplug-elsewhere": "1.0"})


@pytest.mark.parametrize(
    ("recorded", "present", "resumes", "accepted"),
    [
        ("0.1.0", "0.2.0", ">=0.1,<0.3", True),
        ("0.2.0rc1", "0.2.0", ">=0.1,<0.3", True),
        ("0.2.0", "0.2.0", "", True),
        ("0.1.0", "0.2.0", "", False),
        ("0.0.9", "0.2.0", ">=0.1,<0.3", False),
        ("0.2.1", "0.2.0", ">=0.1,<0.3", False),  # what a later version does is unknown
        ("5f2e9a", "0.2.0", ">=0.1,<0.3", False),
    ],
)
def test_a_run_of_an_earlier_version_is_accepted_where_the_distribution_says_so(
    plugins, recorded, present, resumes, accepted
):
    every = [
        attrs.evolve(plugin, version=present, resumes=resumes) if plugin.distribution == "nasplug" else plugin
        for plugin in plugins.all
    ]
    installed = attrs.evolve(plugins, all=every)

    if accepted:
        check_versions(installed, {"nasplug": recorded})
    else:
        with pytest.raises(InputError, match=rf"nasplug {recorded}, but nasplug is now {present}.* version {recorded}"):
            check_versions(installed, {"nasplug": recorded})


def test_every_distribution_here_continues_runs_of_the_first_version(plugins):
    assert all(SpecifierSet(plugin.resumes).contains("0.1.0") for plugin in plugins.all)


def test_configuration_files_are_checked(plugins, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml", recipe_sections(plugins))
    path = tmp_path / "bad.toml"
    path.write_text("[serach]\nepochs = 3\n")
    with pytest.raises(InputError, match="Did you mean 'search'"):
        read_config(path, recipe_sections(plugins))
    path.write_text("not toml at all")
    with pytest.raises(InputError, match="not TOML"):
        read_config(path, recipe_sections(plugins))


def test_weights_of_classes_need_a_teacher_whose_loss_has_a_place_for_them(plugins):
    def asked(method, balance):
        return resolve(plugins, [{"run": {"method": method, "preset": "tiny"}, "search": {"balance": balance}}])

    with pytest.raises(InputError, match=r"'blockwise' has no place for; set search\.balance=sampling.*labels"):
        compose(plugins, asked("dna", "weights"))
    for method, balance in (("dna", "sampling"), ("darts", "weights"), ("dnad", "weights"), ("sd-darts", "weights")):
        assert compose(plugins, asked(method, balance)).recipe.search.balance == balance


def test_options_of_a_measure_ask_for_it_unless_a_later_layer_says_which_are_measured(plugins):
    recorded = {"run": {"method": "random"}, "select": {"measures": ["latency"]}, "latency": {"seconds": 0.1}}
    nothing, size = ({"select": {"measures": measures}} for measures in ([], ["size"]))
    options = {"memory": {"precision": "int8"}}

    def measured(*layers):
        return set(resolve(plugins, layers).costs)

    assert measured(recorded) == {"latency"}
    assert measured(recorded, nothing) == set()
    assert measured(recorded, size, options) == {"size", "memory"}
    assert measured(options, {"select": {"random": 0}}) == {"latency", "memory"}
    assert measured(recorded, nothing, {"budget": {"latency": "1ms"}}) == {"latency"}
    assert (
        resolve(plugins, [recorded, {"select": {"measures": ["latency"]}}]).costs["latency"].options["seconds"] == 0.1
    )


def test_measures_that_are_listed_or_limited_keep_their_options_when_others_are_dropped(plugins):
    layer = {"budget": {"size": 8000, "weight": 0.0}, "latency": {"seconds": 0.1}, "size": {"precision": "int8"}}
    layer |= {"memory": {"precision": "int8"}, "select": {}}
    drop_other_measures(plugins, layer, ["memory"])
    assert set(layer) == {"budget", "size", "memory", "select"}
