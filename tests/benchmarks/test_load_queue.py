from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.load_queue import Queue


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_message_comes_back_when_its_visibility_ends() -> None:
    """A received message is in flight until its visibility timeout ends, and can then be received again."""
    clock = Clock()
    queue = Queue(clock=clock)
    queue.send("a")
    (first,) = queue.receive(10, visibility_s=5)
    old_handle = first.handle
    assert (queue.visible, queue.in_flight) == (0, 1)
    clock.now += 5
    assert (queue.visible, queue.in_flight) == (1, 0)
    (again,) = queue.receive(10, visibility_s=5)
    assert again.receives == 2
    queue.delete(old_handle)
    assert (queue.in_flight, queue.deleted) == (1, 0)
    queue.delete(again.handle)
    assert (queue.in_flight, queue.deleted) == (0, 1)
    clock.now += 50
    assert queue.visible == 0


def test_an_extended_message_stays_away_for_the_new_time() -> None:
    """A new visibility timeout counts from now, whether longer or shorter; zero makes the message visible at once."""
    clock = Clock()
    queue = Queue(clock=clock)
    queue.send("a")
    (message,) = queue.receive(1, visibility_s=5)
    queue.change_visibility(message.handle, 20)
    clock.now += 19
    assert queue.visible == 0
    queue.change_visibility(message.handle, 3)
    clock.now += 3
    assert queue.visible == 1
    (message,) = queue.receive(1, visibility_s=5)
    queue.change_visibility(message.handle, 0)
    assert queue.visible == 1


def test_a_delayed_message_is_visible_later_and_not_in_flight() -> None:
    """A delayed message is hidden but does not count as in flight."""
    clock = Clock()
    queue = Queue(clock=clock)
    queue.send("a", delay_s=2)
    assert (queue.visible, queue.in_flight) == (0, 0)
    assert queue.next_at() == 102
    clock.now += 2
    assert queue.visible == 1


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 3)),
        st.tuples(st.just("receive"), st.integers(1, 10)),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("change"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.integers(1, 10)),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_every_message_is_visible_in_flight_delayed_or_deleted(actions: list[tuple[str, int]]) -> None:
    """For any sequence of actions, no message is lost or counted twice, and undeleted messages become visible again."""
    clock = Clock()
    queue = Queue(clock=clock)
    sent = 0
    handles = ["none"]
    for action, number in actions:
        if action == "send":
            queue.send("a", delay_s=number)
            sent += 1
        elif action == "receive":
            handles += [message.handle for message in queue.receive(number, visibility_s=4)]
        elif action == "delete":
            queue.delete(handles[number % len(handles)])
        elif action == "change":
            queue.change_visibility(handles[number % len(handles)], number % 6)
        else:
            clock.now += number
        assert queue.visible + queue.in_flight + queue.deleted <= sent
    clock.now += 100
    assert queue.visible == sent - queue.deleted
    assert len({message.number for message in queue.receive(100, visibility_s=1)}) == sent - queue.deleted
