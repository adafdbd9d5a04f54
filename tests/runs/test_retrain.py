from __future__ import annotations

from types import SimpleNamespace

import attrs
import pytest

from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.teacher_training import teacher_training
from nasplug.values import Genotype


def dnad(**sections):
    plugins = load_plugins()
    recipe = resolve(plugins, [{"run": {"method": "dnad", "preset": "paper-cifar10"}}, sections])
    return SimpleNamespace(recipe=recipe, composition=compose(plugins, recipe))


def test_the_teacher_of_dnad_is_trained_by_the_released_recipe_for_teachers():
    context = dnad()
    teacher, retrain = teacher_training(context), context.recipe.retrain
    released = {"epochs": 200, "lr": 0.05, "augment": "autoaugment-pillow", "cutout": 0, "drop_path": 0.2}
    assert {name: getattr(teacher, name) for name in released} == released
    assert (retrain.epochs, retrain.lr, retrain.augment, retrain.cutout) == (600, 0.025, "standard", 16)
    assert attrs.evolve(retrain, **released, drop_path_per_operation=0.0) == teacher
    dense = Genotype("darts", {f"0/{node}": [f"skip_connect@{source}" for source in range(node)] for node in (2, 3, 4)})
    assert teacher.for_network(dense).drop_path == 0.2
    assert retrain.for_network(dense).drop_path > 0.3


def test_options_of_the_teachers_training_that_are_not_set_are_those_of_retraining():
    context = dnad(teacher={"part": "features", "lr": 0.3, "epochs": 0}, retrain={"lr": 0.7, "cutout": 3})
    context.composition = attrs.evolve(
        context.composition, teacher=attrs.evolve(context.composition.teacher, augment=None, cutout=None)
    )
    teacher = teacher_training(context)
    assert (teacher.epochs, teacher.lr, teacher.augment, teacher.cutout) == (600, 0.3, "standard", 3)


@pytest.mark.parametrize(("options", "words"), [({"lr": -1.0}, "lr"), ({"learning_rate": 1.0}, "learning_rate")])
def test_a_teacher_that_asks_for_what_there_is_not_is_refused(options, words):
    context = dnad()
    teacher = SimpleNamespace(epochs=0, training_options=lambda: options)
    context.composition = SimpleNamespace(teacher=teacher)
    with pytest.raises(InputError, match=f"The training of the teacher.*{words}"):
        teacher_training(context)
