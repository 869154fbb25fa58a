"""Keys are short, tell no names, and keep in one slot what one commit touches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from takt.domain.decision import person_address
from takt.identity import anonymous_id
from takt.redis import keys


def test_formats_stay_as_they_are() -> None:
    """Data out there lie under these keys."""
    person = keys.person("hh-0042", 64)

    digest = person_address("hh-0042")[4:]
    assert (56, b"takt:{56}:m", b"takt:{56}:log") == (person.partition, person.marker, person.log)
    assert (b"takt:{56}:p:" + digest, b"takt:{56}:l:" + digest) == (person.profile, person.ledger)
    assert b"takt:{56}:r:" + digest == person.ids
    assert 24 == len(person.profile)
    assert (b"takt:{7}:m", b"takt:{7}:log", b"takt:{0}:layouts") == (keys.marker(7), keys.log(7), keys.LAYOUTS)


@given(profile_id=st.text(), partitions=st.integers(1, keys.MAX_PARTITIONS))
def test_keys_of_a_person_share_a_slot(profile_id: str, partitions: int) -> None:
    """Whatever the name, one cluster node has it all."""
    partition, *names = keys.person(profile_id, partitions)

    assert 0 <= partition < partitions
    assert {key_slot(keys.marker(partition))} == {key_slot(name) for name in names}


@given(namespace=st.text(), value=st.text(), partitions=st.integers(1, keys.MAX_PARTITIONS))
def test_identity_lives_with_its_anonymous_ledger(namespace: str, value: str, partitions: int) -> None:
    """Claiming an identity and sealing its ledger is one step in one slot."""
    identity = keys.identity(namespace, value, partitions)

    assert keys.person(anonymous_id(namespace, value), partitions).ledger == identity.anonymous_ledger
    assert 1 == len({key_slot(key) for key in (identity.marker, identity.identity, identity.anonymous_ledger)})


def test_people_spread_over_partitions() -> None:
    """No partition has more than twice its share."""
    counts = [0] * 64
    for i in range(6400):
        counts[keys.partition_of(f"hh-{i:04}", 64)] += 1

    assert max(counts) < 200
    assert min(counts) > 50


def test_names_are_not_in_keys() -> None:
    """Neither a profile id nor an identity's value can be read from any key."""
    for key in (*keys.person("ann@example.com", 64)[1:], *keys.identity("mail", "ann@example.com", 64)[1:]):
        raw = key if isinstance(key, bytes) else key.encode()
        assert b"ann" not in raw
