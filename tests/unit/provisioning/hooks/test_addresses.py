"""Addresses of webhook sources prove who made them."""

from uuid import UUID, uuid4

from provisioning.hooks.addresses import is_address, make_address
from tenants.vault import Vault

VAULT = Vault("a secret key of at least 32 characters")


def test_an_address_is_known_by_whoever_has_the_secret_key_and_no_two_are_alike() -> None:
    made = [make_address(VAULT) for _ in range(100)]
    assert len(set(made)) == 100
    assert all(is_address(address, VAULT) for address in made)
    assert not any(is_address(address, Vault("another secret key of 32 characters")) for address in made)


def test_a_made_up_address_is_none() -> None:
    made = make_address(VAULT)
    assert not any(is_address(address, VAULT) for address in (uuid4(), UUID(int=0), UUID(int=made.int ^ 1)))
    assert not is_address(UUID(int=made.int ^ (1 << 127)), VAULT)
