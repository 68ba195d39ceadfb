"""The SDK's own tests and its built files, by node and what `npm ci` installed."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

SDK = Path(__file__).parents[2] / "sdk"
MOST_BYTES = 2048
needs_npm = pytest.mark.skipif(
    shutil.which("npm") is None or not (SDK / "node_modules" / "esbuild").exists(),
    reason="no npm, or no `npm ci` in sdk/; `make tools` does both where that is possible",
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=SDK, capture_output=True, text=True, check=False, timeout=300)


def test_the_sdk_has_two_kilobytes_at_most() -> None:
    built = (SDK / "dist" / "grove.js").read_bytes()

    assert 1024 < len(gzip.compress(built, 9)) <= MOST_BYTES


def test_what_is_locked_is_hashed_and_names_no_registry() -> None:
    lock = (SDK / "package-lock.json").read_text()

    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')
    assert '"resolved"' not in lock


@needs_npm
def test_the_built_files_are_those_of_the_sources() -> None:
    done = run("node", "build.mjs", "--check")

    assert done.returncode == 0, done.stdout + done.stderr


@needs_npm
def test_a_built_file_of_other_sources_is_found_out(tmp_path: Path) -> None:
    copy = shutil.copytree(SDK, tmp_path / "sdk", symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(SDK / "node_modules")
    scroll = copy / "src" / "scroll.ts"
    scroll.write_text(scroll.read_text().replace("depth + 25", "depth + 20"))
    done = subprocess.run(
        ["node", "build.mjs", "--check"], cwd=copy, capture_output=True, text=True, check=False, timeout=300
    )

    assert done.returncode != 0
    assert "Not current, run `npm run build`: grove-more.js, grove.mjs" in done.stderr


@needs_npm
def test_the_types_hold() -> None:
    done = run("node_modules/.bin/tsc")

    assert done.returncode == 0, done.stdout


@needs_npm
def test_the_units_of_the_sdk_do_what_they_should() -> None:
    done = run("node", "test/run.mjs", "--test-reporter=tap")

    assert done.returncode == 0, done.stdout
    assert "\nok 1 - " in done.stdout


@needs_npm
def test_the_package_holds_what_it_names() -> None:
    done = run("npm", "pack", "--dry-run", "--json")

    assert done.returncode == 0, done.stderr
    for name in ("dist/grove.js", "dist/grove-more.js", "dist/grove.mjs", "dist/grove.d.ts", "README.md", "LICENSE"):
        assert f'"path": "{name}"' in done.stdout


@pytest.mark.parametrize("folder", [SDK, SDK / "python"], ids=["npm", "python"])
def test_each_package_bears_the_projects_license(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (SDK.parent / "LICENSE").read_bytes()
    named = (folder / ("package.json" if folder == SDK else "pyproject.toml")).read_text()
    assert '"LICENSE"]' in named
