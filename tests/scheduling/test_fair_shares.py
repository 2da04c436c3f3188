from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.scheduling.fair_shares import FairShares


def test_a_client_that_comes_later_starts_level_with_the_least_served():
    shares = FairShares()
    shares.arrive(b"a")
    shares.charge(b"a", 1_000)
    shares.arrive(b"b")
    assert shares.given(b"b") == shares.given(b"a") == 1_000


def test_a_rest_saves_up_nothing():
    shares = FairShares()
    shares.arrive(b"a")
    shares.arrive(b"b")
    shares.leave(b"b")
    shares.charge(b"a", 500)
    shares.arrive(b"b")
    assert shares.given(b"b") == 500


def test_leaving_does_not_pay_a_debt():
    shares = FairShares()
    shares.arrive(b"greedy")
    shares.arrive(b"modest")
    shares.charge(b"greedy", 900)
    shares.charge(b"modest", 100)
    shares.leave(b"greedy")
    shares.arrive(b"greedy")
    assert (shares.given(b"greedy"), shares.given(b"modest")) == (900, 100)


def test_clients_that_are_gone_are_forgotten():
    shares = FairShares()
    shares.arrive(b"stays")
    for number in range(100):
        client = b"%d" % number
        shares.arrive(client)
        shares.charge(client, 10)
        shares.leave(client)
        shares.charge(b"stays", 10)
    assert shares._given.keys() == {b"stays"}


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_serving_the_least_served_keeps_the_shares_within_one_request(costs):
    shares = FairShares()
    clients = [b"%d" % number for number in range(len(costs))]
    for client in clients:
        shares.arrive(client)
    for _ in range(200):
        client = min(clients, key=shares.given)
        shares.charge(client, costs[clients.index(client)])
    totals = [shares.given(client) for client in clients]
    assert max(totals) - min(totals) <= max(costs)
