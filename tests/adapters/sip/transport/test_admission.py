from __future__ import annotations

from adapters.sip.transport.admission import Admission, AdmissionLimits

LIMITS = AdmissionLimits(
    trunks=2, strangers=4, strangers_per_source=2, strangers_per_s=1.0, strangers_at_once=6.0
)


def test_a_source_has_its_share_and_gets_it_back() -> None:
    admission = Admission(LIMITS)
    assert [admission.admit_stranger("192.0.2.1", 0.0) for _ in range(3)] == [True, True, False]
    assert admission.admit_stranger("192.0.2.2", 0.0)
    admission.release_stranger("192.0.2.1")
    assert [admission.admit_stranger("192.0.2.1", 0.0) for _ in range(2)] == [True, False]


def test_strangers_together_have_their_share() -> None:
    admission = Admission(LIMITS)
    hosts = [f"192.0.2.{number}" for number in range(5)]
    assert [admission.admit_stranger(host, 0.0) for host in hosts] == [True] * 4 + [False]


def test_a_network_of_ipv6_is_one_source() -> None:
    admission = Admission(LIMITS)
    hosts = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8::3", "2001:db8:0:1::1")
    assert [admission.admit_stranger(host, 0.0) for host in hosts] == [True, True, False, True]


def test_an_ipv4_address_is_not_the_ipv6_network_of_the_same_number() -> None:
    admission = Admission(LIMITS)
    hosts = ("0.0.0.1", "0.0.0.1", "0:0:0:1::1")
    assert [admission.admit_stranger(host, 0.0) for host in hosts] == [True, True, True]


def test_strangers_that_come_and_go_are_held_to_a_rate() -> None:
    admission = Admission(LIMITS)

    def visits(now: float) -> int:
        count = 0
        while admission.admit_stranger("192.0.2.1", now):
            admission.release_stranger("192.0.2.1")
            count += 1
        return count

    assert [visits(now) for now in (1000.0, 1002.0, 1002.5, 1003.0, 2000.0)] == [6, 2, 0, 1, 6]


def test_strangers_take_nothing_from_trunks() -> None:
    admission = Admission(LIMITS)
    while admission.admit_stranger("192.0.2.1", 0.0):
        pass
    assert [admission.admit_trunk() for _ in range(3)] == [True, True, False]
    admission.release_trunk()
    assert admission.admit_trunk()
