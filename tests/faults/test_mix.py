"""The mix of faults that `make faults` runs: the same seed draws the same faults, and a few of them cost nothing."""

from tests.faults.mix import draw, run_mix
from tests.support.servers import Server

SEED = 20261121


def test_a_seed_draws_the_same_faults_again() -> None:
    assert draw(SEED, 50, 3) == draw(SEED, 50, 3)
    assert draw(SEED, 50, 3) != draw(SEED + 1, 50, 3)


async def test_a_few_faults_cost_nothing(server: Server) -> None:
    assert await run_mix(server, SEED, 3) == []
