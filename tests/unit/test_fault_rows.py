"""Every fault that Grove must survive has a test, and the table of faults names the files that have them."""

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {*range(1, 5), *range(7, 14), 17, 18, *range(20, 30), *range(31, 34)}
_LINE = re.compile(r"^\| (\d+) \|[^|]*\|([^|]*)\|", re.MULTILINE)


def marked() -> dict[int, set[str]]:
    """Read which rows the tests of each file say that they stand for."""
    found = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                found[ast.literal_eval(node.args[0])].add(path.name)
    return dict(found)


def test_every_row_has_a_test() -> None:
    assert ROWS - marked().keys() == set()


def test_the_table_names_the_files_of_each_row() -> None:
    table = {int(row): set(re.findall(r"`(\w+\.py)`", files)) for row, files in _LINE.findall(readme())}
    assert table == marked()


def readme() -> str:
    return (TESTS / "faults" / "README.md").read_text()
