from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.scheduling.priority import OVERDUE_S, RISE_S, Priority
from bonsai_edge.scheduling.schedule import Schedule, Ticket

BACKGROUND, NORMAL, INTERACTIVE, SAFETY = Priority


def ticket(client=b"a", priority=NORMAL, arrived_at=0.0):
    return Ticket(client=client, priority=priority, arrived_at=arrived_at)


def schedule_of(*tickets, max_running=2):
    schedule = Schedule(max_running)
    for each in tickets:
        schedule.add(each)
    return schedule


def start_all(schedule, now=0.0):
    """Start what has a place without taking one from another."""
    while (head := schedule.head(now)) is not None and len(schedule.running) < schedule.max_running:
        schedule.start(head, now)


def test_nobody_is_next_when_nobody_waits():
    assert schedule_of().head(0.0) is None


def test_a_client_s_requests_come_in_their_order():
    first, second = ticket(arrived_at=1.0), ticket(arrived_at=2.0)
    schedule = schedule_of(second, first)
    assert schedule.head(3.0) is first


def test_the_most_urgent_class_is_next():
    low, high = ticket(priority=NORMAL, arrived_at=1.0), ticket(priority=INTERACTIVE, arrived_at=2.0)
    assert schedule_of(low, high).head(2.0) is high


def test_the_client_that_was_given_less_is_next():
    greedy = [ticket(b"greedy", arrived_at=float(number)) for number in range(2)]
    modest = ticket(b"modest", arrived_at=5.0)
    schedule = schedule_of(*greedy, modest)
    schedule.start(greedy[0], 5.0)
    schedule.charge(greedy[0], 100)
    assert schedule.head(5.0) is modest


def test_background_work_is_in_front_of_all_that_comes_later_once_it_has_waited():
    old = ticket(b"old", BACKGROUND, arrived_at=0.0)
    schedule = schedule_of(old)
    schedule.charge(old, 1)
    new = ticket(b"new", INTERACTIVE, arrived_at=2 * RISE_S)
    schedule.add(new)
    schedule.charge(new, 2)
    assert schedule.head(2 * RISE_S) is old


def test_background_work_is_not_passed_for_ever_by_clients_that_come_anew():
    """Each newcomer was given nothing yet, so that equal shares alone would always let it go first."""
    greedy = ticket(b"greedy", BACKGROUND, arrived_at=0.0)
    schedule = schedule_of(greedy, max_running=1)
    schedule.charge(greedy, 1_000_000)
    now, num_served = 0.0, 0
    newcomer = ticket(b"0", INTERACTIVE, arrived_at=now)
    schedule.add(newcomer)
    while (head := schedule.head(now)) is not greedy:
        num_served += 1
        schedule.add(ticket(b"%d" % num_served, INTERACTIVE, arrived_at=now))  # always one that waits
        schedule.start(head, now)
        schedule.charge(head, 50)
        schedule.remove(head)
        now += 1.0
        assert now <= OVERDUE_S
    assert num_served == OVERDUE_S


def test_clients_with_overdue_requests_take_turns():
    greedy = [ticket(b"greedy", arrived_at=float(number)) for number in range(3)]
    modest = ticket(b"modest", arrived_at=5.0)
    schedule, order = schedule_of(*greedy, modest), []
    now = 5.0 + OVERDUE_S
    while (head := schedule.head(now)) is not None:
        order.append(head)
        schedule.start(head, now)
        schedule.remove(head)
        now += 1.0
    assert order == [greedy[0], modest, greedy[1], greedy[2]]


def test_the_lowest_and_latest_make_room():
    low, lower, lowest = (ticket(b"%d" % number, BACKGROUND, float(number)) for number in range(3))
    schedule = schedule_of(low, lower, lowest, ticket(priority=NORMAL), max_running=4)
    start_all(schedule, now=3.0)
    urgent = ticket(priority=INTERACTIVE, arrived_at=3.0)
    schedule.add(urgent)
    assert schedule.victims(urgent, 3.0)[:3] == [lowest, lower, low]
    assert schedule.victims(urgent, 3.0)[3].priority is NORMAL


def test_equals_make_no_room_for_each_other():
    schedule = schedule_of(ticket(b"a"), ticket(b"b"))
    start_all(schedule)
    late = ticket(b"c", arrived_at=1.0)
    schedule.add(late)
    assert schedule.victims(late, 1.0) == []


def test_what_made_a_request_rise_is_not_lost_by_running():
    old = ticket(priority=BACKGROUND)
    schedule = schedule_of(old)
    start_all(schedule, now=2 * RISE_S)
    interactive = ticket(priority=INTERACTIVE, arrived_at=2 * RISE_S)
    schedule.add(interactive)
    assert schedule.victims(interactive, 2 * RISE_S) == []


def test_what_cannot_be_suspended_is_nobody_s_victim():
    class Fixed(Ticket):
        can_be_suspended = False

    fixed = Fixed(client=b"a", priority=BACKGROUND, arrived_at=0.0)
    schedule = schedule_of(fixed)
    start_all(schedule)
    assert schedule.victims(ticket(priority=SAFETY), 0.0) == []


def test_a_suspended_request_is_in_its_old_place():
    first, second = ticket(arrived_at=1.0), ticket(arrived_at=2.0)
    schedule = schedule_of(first, second, max_running=1)
    start_all(schedule, now=2.0)
    schedule.suspend(first)
    assert schedule.head(2.0) is first


def test_who_is_not_ready_is_passed_by_others_but_not_by_its_own():
    class Unready(Ticket):
        is_ready = False

    unready = Unready(client=b"slow", priority=NORMAL, arrived_at=0.0)
    own, other = ticket(b"slow", arrived_at=1.0), ticket(b"other", arrived_at=2.0)
    schedule = schedule_of(unready, own, other)
    assert schedule.head(2.0) is other
    schedule.remove(other)
    assert schedule.head(2.0) is None
    urgent = ticket(b"slow", SAFETY, arrived_at=3.0)
    schedule.add(urgent)
    assert schedule.head(3.0) is urgent


def test_safety_runs_alone_and_the_rest_keeps_its_places():
    others = [ticket(b"%d" % number) for number in range(2)]
    safety = ticket(priority=SAFETY)
    schedule = schedule_of(*others, safety, max_running=3)
    start_all(schedule)
    assert schedule.to_step() == [safety]
    schedule.remove(safety)
    assert set(schedule.to_step()) == set(others)


def test_the_more_urgent_come_first_in_a_step():
    low, high = ticket(b"a", BACKGROUND), ticket(b"b", INTERACTIVE)
    schedule = schedule_of(low, high)
    start_all(schedule)
    assert schedule.to_step() == [high, low]


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_clients_that_always_want_more_get_equal_shares(costs):
    schedule = Schedule(2)
    clients = [b"%d" % number for number in range(len(costs))]
    given_tokens = Counter()
    for client in clients:
        for _ in range(3):
            schedule.add(ticket(client))
    for _ in range(300):
        start_all(schedule)
        for running in list(schedule.running):
            cost = costs[clients.index(running.client)]
            schedule.charge(running, cost)
            given_tokens[running.client] += cost
            schedule.add(ticket(running.client))
            schedule.remove(running)
    assert max(given_tokens.values()) - min(given_tokens.values()) <= 3 * max(costs)
