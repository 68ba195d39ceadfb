"""What is taken as a number, and what Postgres takes."""

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.limits import check_storable
from app.ingest.outcomes import Code, Refusal

NUMBERS = [
    "0", "-0", "1.50", "1e308", "-1E+5", "9223372036854775807", "-9223372036854775808", "1e-400", "0e400", "0E-5",
    "1e-16383", "1e-16384", "1.5e-16382", "1.5e-16383", "0e-16383", "0e-16384", "0.0e-16382", "0.0e-16383",
    "12345e-16383", "12345e-16384", "1e-" + "0" * 5000 + "16383", "1e+" + "0" * 5000 + "5", "1e-" + "9" * 30,
    "0e1073741823", "0e1073741824", "0.0e1073741824", "-0e2147483648", "0e" + "9" * 30, "0e" + "9" * 5000,
    "0." + "1" * 16383, "0." + "1" * 16384, "0." + "0" * 16384, "1." + "0" * 16393 + "e10", "1." + "0" * 16394 + "e10",
]  # fmt: skip


def _refusal(properties: str) -> Code | None:
    try:
        check_storable(properties, "")
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize("written", ['{"a":%s}', '{"a":%s,"a":1}', '{"a":[{"b":%s}]}'])
async def test_postgres_takes_the_numbers_that_are_taken_and_no_others(
    postgres: EmbeddedPostgres, written: str
) -> None:
    found: dict[str, Code | None] = {}
    connection = await asyncpg.connect(postgres.url)
    try:
        for number in NUMBERS:
            try:
                await connection.fetchval("SELECT $1::jsonb", written % number)
                found[number] = None
            except asyncpg.NumericValueOutOfRangeError:
                found[number] = Code.NUMBER_OUT_OF_RANGE
    finally:
        await connection.close()
    assert {number: _refusal(written % number) for number in NUMBERS} == found
