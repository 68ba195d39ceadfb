"""What the image carries: the tree is installed as the Dockerfile installs it, and used from a foreign folder."""

import re
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree

import pytest

from provisioning.templates import load_templates
from tests.support.compose import ROOT

SOURCES = ("app", "tenants", "provisioning", "migrations", "grafana-templates", "sdk/dist/*.js")
# All modules of the product, so that whatever they read when they are imported is read; then what is read later.
USE = """
import importlib, pkgutil
from pathlib import Path
import app
here = Path(app.__file__).parent.parent
for name in ("app", "tenants", "provisioning", "migrations"):
    for found in pkgutil.walk_packages([str(here / name)], f"{name}."):
        if not found.name.endswith(("__main__", ".env")) and ".versions." not in found.name:
            module = importlib.import_module(found.name)
            assert Path(module.__file__).is_relative_to(here), module.__file__
from provisioning.templates import FOLDER, load_templates
assert FOLDER.is_relative_to(here)
print(here, *sorted(entry.uid for entry in load_templates().dashboards))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of packages that the Dockerfile makes."""
    build, site = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("site")
    for words in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        for name in words.split():
            (copytree if (ROOT / name).is_dir() else copy)(ROOT / name, build / name)
    words = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", *words, "--target", site, "."], cwd=build, check=True)
    return site


def test_every_file_of_the_sources_is_in_the_image(site: Path) -> None:
    tracked = subprocess.run(["git", "ls-files", *SOURCES], cwd=ROOT, capture_output=True, text=True, check=True)
    names = tracked.stdout.split()

    assert len(names) > 200
    assert [name for name in names if not (site / name).exists()] == []


def test_what_is_installed_works_without_the_repository(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(site), *sorted(entry.uid for entry in load_templates().dashboards)]
