"""What `nasplug new plugin` writes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import attrs
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from nasplug.errors import InputError
from nasplug.plugins import Settings, load_plugins
from nasplug.scaffold import KINDS, LICENCES, Names, combine, package_files, write_package
from nasplug.scaffold import package as scaffold_package
from nasplug.scaffold.package import SHARED, supported_versions

SHAPES = {
    "method": "nasplug-one",
    "space": "nasplug-two-words",
    "optimizer": "a",
    "schedule": "with.dots.and-dashes",
    "teacher": "under_scores",
    "selector": "nasplug-picks",
    "dataset": "nasplug-" + "d" * 40,
    "cost": "nasplug-joules",
    "reference": "nasplug-tower-2",
    "executor": "nasplug-stands-back",
    "observer": "nasplug-r2d2",
}
"""A folder for each kind; between them, every form that names can have."""
SEVERAL = {
    "space, optimizer and cost": "nasplug-three-parts",
    "method, schedule and observer": "nasplug-all-hooks",
    "cost and executor": "nasplug-thrifty",
}
"""The same for packages of several kinds."""
NAMES = {kind: kind.replace(" and ", ", ").split(", ") for kind in (*SHAPES, *SEVERAL)}
PACKAGES = {kind: combine([KINDS[name] for name in names]) for kind, names in NAMES.items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One package of each kind, and those of several."""
    root = tmp_path_factory.mktemp("plugins")
    shapes = {**SHAPES, **SEVERAL}
    for kind, folder in shapes.items():
        files = package_files(Names.of_folder(root / folder), PACKAGES[kind], "mit", 'Ann "Any" Øther')
        write_package(root / folder, files)
    return {kind: root / folder for kind, folder in shapes.items()}


def test_there_is_a_name_for_each_kind():
    assert set(SHAPES) == set(KINDS)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_packages_pass_their_own_tests(folders):
    paths = [str(folder) for folder in folders.values()]
    found = {
        **os.environ,
        "NASPLUG_STRICT": "1",
        "NASPLUG_PLUGIN": os.pathsep.join(paths),
        "PYTHONPATH": os.pathsep.join(f"{path}/src" for path in paths),
    }
    # One process, because importing torch takes longer than the tests; the settings are those of every package.
    settings = [f"--config-file={paths[0]}/pyproject.toml", "-p", "no:cacheprovider", "-q"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, *(f"{path}/tests" for path in paths)],
        capture_output=True,
        text=True,
        cwd=folders["method"],
        env=found,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed" not in done.stdout


def test_the_packages_are_formatted_and_free_of_lint(folders):
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        ruff = [sys.executable, "-m", "ruff", *command, *map(str, folders.values())]
        done = subprocess.run(ruff, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_package_says_what_it_is(folders, kind):
    folder = folders[kind]
    written = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files = {str(path.relative_to(folder)): path.read_text() for path in written}
    (package,) = (folder / "src").iterdir()
    project = tomllib.loads(files["pyproject.toml"])["project"]
    short = folder.name.removeprefix("nasplug-")

    assert set(SHARED) | {"LICENSE", "README.md", f"src/{package.name}/py.typed"} <= set(files)
    assert not [path for path, text in files.items() if "@@" in text]
    assert package.name == f"nasplug_{short.replace('-', '_').replace('.', '_')}"
    assert project["name"] == f"nasplug-{short}"
    assert project["entry-points"]["nasplug"] == {short: f"{package.name}.hooks"}
    assert project["authors"] == [{"name": 'Ann "Any" Øther'}]
    assert "Ann" in files["LICENSE"]
    assert project["description"] in files["README.md"]


@pytest.mark.parametrize("kind", PACKAGES)
def test_the_package_requires_what_it_imports_and_no_more(folders, kind):
    folder = folders[kind]
    requirements = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = [line.split() for path in folder.glob("src/*/*.py") for line in path.read_text().splitlines()]
    imported = {words[1].partition(".")[0] for words in lines if words[:1] in (["import"], ["from"])}

    assert {Requirement(one).name for one in requirements} == {
        name for name in imported - set(sys.stdlib_module_names) if not name.startswith("nasplug_")
    }


@pytest.mark.parametrize("kind", PACKAGES)
def test_listing_the_package_imports_no_torch(folders, kind):
    folder = folders[kind]
    hooks = next(folder.glob("src/*/hooks.py")).read_text()
    imported = [line for line in hooks.splitlines() if line.startswith(("import ", "from "))]

    assert imported
    assert not [line for line in imported if "torch" in line or "parts" in line]


def test_a_package_of_several_kinds_registers_each_of_its_parts_once(folders):
    settings = attrs.evolve(Settings.from_environment(), paths=tuple(folders[kind] for kind in SEVERAL))
    plugins = load_plugins(settings, quiet=True)
    own = {plugin.distribution: plugin for plugin in plugins.all if plugin.distribution in SEVERAL.values()}

    registered = {name: sorted(one.slot for one in plugin.registers) for name, plugin in own.items()}
    assert registered == {
        "nasplug-three-parts": ["cost", "optimizer", "space"],
        "nasplug-all-hooks": ["method", "optimizer", "schedule"],
        "nasplug-thrifty": ["cost", "executor"],
    }
    assert "nasplug_event" in own["nasplug-all-hooks"].hooks
    assert all(plugins.resolve(one) for plugin in own.values() for one in plugin.registers)


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (
            ["method", "optimizer"],
            "one architecture optimizer of its name, but it would be written by the kinds",
        ),
        (["space", "space"], "one search space of its name, but it would be written twice"),
        (["observer", "cost", "observer"], "one observer of its name, but it would be written twice"),
    ],
)
def test_two_parts_of_one_slot_are_refused(kinds, reason):
    with pytest.raises(InputError, match=reason):
        combine([KINDS[kind] for kind in kinds])


def test_every_template_is_used():
    used = {*SHARED.values(), "package/README.md", "package/init.py", *(f"licences/{each}" for each in LICENCES)}
    used |= {"package/hooks.py", "package/hooks_head.py", "package/hooks_entry.py"}
    used |= {"observer/hooks.py", "observer/hooks_head.py", "observer/hooks_imports.py"}
    for kind in KINDS.values():
        used |= {*kind.modules.values(), *kind.tests.values(), *kind.abouts}
    root = Path(str(resources.files("nasplug.scaffold"))) / "templates"

    assert {str(path.relative_to(root)).removesuffix(".tmpl") for path in root.glob("*/*")} == used


@pytest.mark.parametrize(
    ("licence", "ending"),
    [
        ("apache-2.0", (Path(__file__).parents[2] / "LICENSE").read_text()),
        ("mit", "OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE\nSOFTWARE.\n"),
        ("bsd-3-clause", "OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.\n"),
    ],
)
def test_the_licence_is_there_in_full(licence, ending):
    files = package_files(Names("mine"), KINDS["observer"], licence)

    assert files["LICENSE"].endswith(ending)
    assert licence == "apache-2.0" or "the authors of nasplug-mine\n" in files["LICENSE"]
    assert f'license = "{LICENCES[licence]}"' in files["pyproject.toml"]
    assert "authors = " not in files["pyproject.toml"]


@pytest.mark.parametrize(
    ("version", "supported"), [("0.1.0", ">=0.1,<0.2"), ("0.12.3.dev1", ">=0.12,<0.13"), ("2.4", ">=2.4,<3")]
)
def test_the_package_works_with_the_versions_that_keep_the_contract(monkeypatch, version, supported):
    monkeypatch.setattr(scaffold_package.metadata, "version", lambda _: version)

    assert supported_versions() == supported
    assert Requirement(f"nasplug{supported}").specifier.contains(Version(version), prereleases=True)


@pytest.mark.parametrize(
    ("folder", "near"),
    [
        ("Mine", "mine"),
        ("nasplug-My Thing!", "my-thing"),
        ("2fast", "fast"),
        ("nasplug-", "mine"),
        ("a--b", "a-b"),
        ("über", "ber"),
        ("x" * 41, "x" * 40),
        ("class:of", "class-of"),
    ],
)
def test_a_folder_that_gives_no_name_is_refused_with_one_that_does(folder, near):
    with pytest.raises(InputError, match=r"cannot be named") as caught:
        Names.of_folder(Path("somewhere") / folder)

    assert str(caught.value).endswith(f"Try {near}.")
    assert Names.of_folder(Path(near)).short == near
