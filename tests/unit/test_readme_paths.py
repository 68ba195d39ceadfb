"""The guides name files, commands and settings; all of them exist."""

import re
from pathlib import Path

import click

from app.__main__ import COMMANDS, grove
from app.settings import Settings, to_environ
from tests.support.environment import every_setting

ROOT = Path(__file__).parents[2]
GUIDES = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")
FOLDERS = tuple(
    f"{name}/" for name in (".ci", "app", "bench", "infra", "migrations", "provisioning", "sdk", "tenants", "tests")
)
FILE = re.compile(r"^[\w./-]+\.(?:py|md|sql|toml|yaml|lock|example)$|^(?:Dockerfile|Makefile|LICENSE)$")
TEXTS = [
    *((ROOT / name, (ROOT / name).read_text()) for name in GUIDES),
    *((path, path.read_text()) for folder in ("decisions", "runbooks") for path in (ROOT / "infra" / folder).glob("*")),
]
README = (ROOT / "README.md").read_text()


def named(pattern: str) -> list[tuple[str, str]]:
    """Find (file, text between backticks or in a code block) that fits a pattern as a whole."""
    return [
        (path.name, text)
        for path, content in TEXTS
        for text in re.findall(r"`([^`\n]+)`", content)
        if re.fullmatch(pattern, text)
    ]


def test_every_file_and_folder_that_a_guide_names_exists() -> None:
    names = [(guide, text) for guide, text in named(r"\S+") if FILE.match(text) or text.startswith(FOLDERS)]

    assert len(names) > 50
    assert [(guide, text) for guide, text in names if not (ROOT / text).exists()] == []


def test_the_architecture_names_every_module_of_the_gateway_and_of_a_clients_grafana() -> None:
    said = {text for guide, text in named(r"\S+\.py") if guide == "ARCHITECTURE.md"}
    modules = [path for folder in ("app/gateway", "provisioning/grafana") for path in (ROOT / folder).glob("*.py")]

    assert len(modules) > 30
    assert [
        str(path.relative_to(ROOT))
        for path in modules
        if path.stem != "__init__" and str(path.relative_to(ROOT)) not in said
    ] == []


def test_every_make_target_that_a_guide_names_exists() -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = {target for _, content in TEXTS for target in re.findall(r"(?:^|`)make ([a-z]+)", content, re.MULTILINE)}

    assert {"demo", "test"} <= wanted <= known


def below(command: click.Group) -> dict[str, click.Command]:
    """Find a group's commands."""
    context = click.Context(command)
    found = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {name: each for name, each in found.items() if each is not None}


def test_every_command_that_a_guide_names_exists() -> None:
    for guide, text in named(r"grove [a-z].*"):
        command: click.Command = grove
        for word in text.split()[1:]:
            if not isinstance(command, click.Group):
                options = {
                    option for parameter in command.params for option in parameter.opts + parameter.secondary_opts
                }
                assert not word.startswith("-") or word in options, (guide, text)
                continue
            assert word in below(command), (guide, text)
            command = below(command)[word]


def test_every_command_is_in_the_readme() -> None:
    said = {text for _, text in named(r"grove [a-z -]+")}

    commands = below(grove)
    assert set(commands) == set(COMMANDS)
    for name, command in commands.items():
        inner = below(command) if isinstance(command, click.Group) else {}
        wanted = {f"grove {name} {sub}" for sub in inner} or {f"grove {name}"}
        assert wanted <= said


def test_the_readme_lists_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\|", README, re.MULTILINE))
    defaults = to_environ(Settings())

    assert set(rows) == set(every_setting())
    assert {key: default for key, default in rows.items() if default} == defaults
    assert "`<CLIENT>_DB_URL`" in README
