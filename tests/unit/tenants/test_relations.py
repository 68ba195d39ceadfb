"""A client's tables are named so that the database alone understands the names."""

import pytest

from tenants.placement import SourceMap
from tenants.relations import OWN_SHAPE, ChatTables


@pytest.mark.parametrize(
    ("theirs", "written"),
    [
        ("leads", '"leads"'),
        ('le"ads', '"le""ads"'),
        ("leads$tz", r'U&"leads\0024tz"'),
        ("$__timeFrom()", r'U&"\0024__timeFrom()"'),
        ("a[[tz]]", r'U&"a\005b\005btz]]"'),
        (r'$\0024"', r'U&"\0024\005c0024"""'),
    ],
)
def test_a_name_holds_nothing_that_dashboards_substitute(theirs: str, written: str) -> None:
    source = SourceMap(schema="crm$", tables={"Leads": theirs}, columns={"Leads": {"source": theirs}})
    sql = ChatTables(source, OWN_SHAPE, "'UTC'").write("leads", wanted="source".__eq__)
    assert sql.split() == ["SELECT", written, "AS", "source", "FROM", rf'U&"crm\0024".{written}']
