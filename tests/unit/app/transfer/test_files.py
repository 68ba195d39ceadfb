"""CSV and NDJSON files are read row by row, from any row on, whatever single lines look like."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.errors import ImportRefused
from app.transfer.files import RowFile
from app.transfer.output import Layout, open_output
from app.transfer.reading import Mark, SourceRow
from tenants.placement import SourceMap
from tenants.sources import LEADS, SESSIONS

NAMES = SourceMap()


async def rows_of(
    path: Path, table: str | None = LEADS, names: SourceMap = NAMES, after: Mark | None = None
) -> list[SourceRow]:
    return [row async for row in RowFile(path, table, names).rows(after)]


def write(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


async def test_cells_are_named_by_the_first_line_and_empty_ones_are_no_values(tmp_path: Path) -> None:
    path = write(tmp_path, "Leads.csv", 'id,sessionId,name,other\r\n1,s1,"Doe, J ""x""\r\nII",z\r\n2,s2,,z\r\n')

    first, second = await rows_of(path)

    assert first.values == {"id": "1", "sessionId": "s1", "name": 'Doe, J "x"\r\nII'}
    assert second.values == {"id": "2", "sessionId": "s2"}
    assert (first.place, second.place) == (f"{path}:2", f"{path}:4")


async def test_semicolons_and_tabs_and_a_byte_order_mark_are_understood(tmp_path: Path) -> None:
    for name, text in (("a.csv", "\ufeffid;sessionId\n1;s1\n"), ("b.csv", "id\tsessionId\n1\ts1\n")):
        [row] = await rows_of(write(tmp_path, name, text))
        assert row.values == {"id": "1", "sessionId": "s1"}


async def test_columns_are_found_by_the_names_of_the_source(tmp_path: Path) -> None:
    names = SourceMap(columns={LEADS: {"sessionId": "sid", "createdAt": "made"}})
    path = write(tmp_path, "Leads.csv", "id,sid,made\n1,s1,2026-11-01\n")

    [row] = await rows_of(path, names=names)

    assert row.values == {"id": "1", "sessionId": "s1", "createdAt": "2026-11-01"}


async def test_a_quote_that_is_never_closed_costs_its_own_line_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "Leads.csv", 'id,sessionId\n1,"s1\n2,s2\n3,"s3"\n4,"s4\n')

    rows = await rows_of(path)

    assert [row.values.get("id") for row in rows if row.fault is None] == ["2", "3"]
    assert [row.place.rpartition(":")[2] for row in rows if row.fault is not None] == ["2", "5"]


async def test_a_line_with_too_few_or_too_many_cells_is_a_fault(tmp_path: Path) -> None:
    rows = await rows_of(write(tmp_path, "Leads.csv", "id,sessionId\n1\n2,s2\n3,s3,x\n"))

    assert [row.fault is None for row in rows] == [False, True, False]


async def test_lines_that_are_no_json_objects_are_faults(tmp_path: Path) -> None:
    deep = "[" * 100_000
    path = write(tmp_path, "Leads.ndjson", f'{{"id":1,"sessionId":"s"}}\n[1]\nnot json\n\n{deep}\n\xff\n{{"id":2}}')

    rows = await rows_of(path)

    assert [row.fault is None for row in rows] == [True, False, False, False, False, True]
    assert [row.place.rpartition(":")[2] for row in rows] == ["1", "2", "3", "5", "6", "7"]


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".csv.gz", ".ndjson.gz"])
async def test_reading_goes_on_behind_any_row(tmp_path: Path, suffix: str) -> None:
    text = 'id,sessionId\n1,"s\n1"\n2,s2\n3,s3\n' if "csv" in suffix else '{"id":1}\n\n{"id":2}\n{"id":3}\n'
    path = write(tmp_path, f"Leads{suffix}", gzip.compress(text.encode()) if suffix.endswith("gz") else text)
    whole = await rows_of(path)

    for number, row in enumerate(whole, 1):
        rest = await rows_of(path, after=row.mark)
        assert [(each.values, each.place) for each in rest] == [(each.values, each.place) for each in whole[number:]]


async def test_each_row_may_say_where_it_belongs(tmp_path: Path) -> None:
    path = write(tmp_path, "all.csv", "table,sessionId\nLeads,s1\nuserevents,s2\nOther,s3\n,s4\n")

    rows = await rows_of(path, table=None)

    assert [row.table for row in rows] == [LEADS, SESSIONS, None, None]
    assert [row.fault is None for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("header", ["", "id,name\n", "ID;SESSION\n"])
def test_a_file_of_sessions_without_their_ids_is_refused(tmp_path: Path, header: str) -> None:
    path = write(tmp_path, "UserEvents.csv", header)

    with pytest.raises(ImportRefused, match="no column `sessionId`"):
        RowFile(path, SESSIONS, NAMES).check()


def test_a_file_that_does_not_say_whose_rows_it_holds_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "export.csv", "id,sessionId\n1,s1\n")

    with pytest.raises(ImportRefused, match="give --table"):
        RowFile(path, None, NAMES).check()


async def test_a_gzip_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"id":1,"sessionId":"s1"}\n' * 1000)
    path = write(tmp_path, "Leads.ndjson.gz", whole[:-20])

    with pytest.raises(ImportRefused, match="no whole gzip file"):
        await rows_of(path)


cells = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(cells, cells), max_size=20))
async def test_what_was_written_as_csv_is_read_again(texts: list[tuple[str, str]]) -> None:
    import tempfile  # noqa: PLC0415 - hypothesis and tmp_path do not go together

    with tempfile.TemporaryDirectory() as folder:
        with open_output(Path(folder), LEADS, ("id", "name", "email"), Layout(format="csv"), []) as output:
            for number, (name, email) in enumerate(texts):
                output.write((number, name, email))
        file = RowFile(Path(folder) / "Leads.csv", LEADS, NAMES, defended=True)
        read = [(row.values.get("name", ""), row.values.get("email", "")) async for row in file.rows(None)]
    assert read == texts
