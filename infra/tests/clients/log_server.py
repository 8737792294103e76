"""Uses a log server as a program in Python does: with the client that its makers publish.

Run by the tests of this crate with the server's address. Lines on standard output tell the test what
to do: `restart` asks for a restart of the server at the same address, which a line on standard input
answers; `done` is the end. Anything wrong ends the program with a traceback.
"""

import json
import sys
import threading
import uuid

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    KurrentDBClientError,
    NotFoundError,
    WrongCurrentVersionError,
)


def event(number, **more):
    data = json.dumps({"number": number}).encode()
    return NewEvent(type="Even" if number % 2 == 0 else "Odd", data=data, **more)


def numbers(events):
    return [json.loads(event.data)["number"] for event in events]


def fails(error, call, *args, **more):
    try:
        call(*args, **more)
    except error as raised:
        return raised
    raise AssertionError(f"{call} should have failed with {error}")


def follow(subscription, count):
    """The next `count` records; a server that stays silent fails instead of hanging."""
    watchdog = threading.Timer(60, subscription.stop)
    watchdog.start()
    seen = [next(subscription) for _ in range(count)]
    watchdog.cancel()
    return seen


def appends_and_conflicts(client):
    none, any_state, exists = StreamState.NO_STREAM, StreamState.ANY, StreamState.EXISTS
    metadata = json.dumps({"by": "Zoë"}).encode()
    first = client.append_to_stream("py", current_version=none, events=[event(0), event(1)])
    noted = event(2, id=uuid.uuid4(), metadata=metadata)
    second = client.append_to_stream("py", current_version=1, events=noted)
    assert second == first + 1, (first, second)
    again = client.append_to_stream("py", current_version=1, events=noted)
    assert again == second, (second, again)
    client.append_to_stream("py", current_version=any_state, events=event(3))
    client.append_to_stream("py", current_version=exists, events=event(4))
    for wrong in (none, 0, 7):
        call = client.append_to_stream
        raised = fails(WrongCurrentVersionError, call, "py", current_version=wrong, events=event(9))
        assert raised.actual_version == 4, raised
    call = client.append_to_stream
    fails(WrongCurrentVersionError, call, "nothing", current_version=exists, events=event(9))
    assert client.get_current_version("py") == 4
    assert client.get_current_version("nothing") is StreamState.NO_STREAM
    stored = client.get_stream("py")[2]
    assert (stored.id, stored.metadata) == (noted.id, metadata), stored
    assert stored.stream_position == 2 and stored.commit_position == second, stored


def reads(client):
    assert numbers(client.get_stream("py")) == [0, 1, 2, 3, 4]
    assert numbers(client.get_stream("py", stream_position=3)) == [3, 4]
    assert numbers(client.get_stream("py", backwards=True, limit=2)) == [4, 3]
    fails(NotFoundError, client.get_stream, "nothing")
    everything = list(client.read_all())
    assert numbers(everything) == [0, 1, 2, 3, 4]
    from_third = client.read_all(commit_position=everything[2].commit_position)
    assert numbers(from_third) == [2, 3, 4]
    assert numbers(client.read_all(backwards=True, limit=1)) == [4]
    assert numbers(client.read_all(filter_include=["Odd"])) == [1, 3]
    assert client.get_commit_position() == everything[-1].commit_position


def subscriptions(client):
    with client.subscribe_to_all(filter_include=["Odd"]) as odd:
        with client.subscribe_to_stream("py", stream_position=2) as tail:
            assert numbers(follow(odd, 2)) == [1, 3]
            assert numbers(follow(tail, 2)) == [3, 4]
            client.append_to_stream("py", current_version=4, events=event(5))
            assert numbers(follow(odd, 1)) == [5]
            assert numbers(follow(tail, 1)) == [5]
    # What the client leaves out by default is written as an expression that not every engine knows.
    with client.subscribe_to_all(include_caught_up=True) as everything:
        seen = follow(everything, 7)
        assert numbers(seen[:6]) == [0, 1, 2, 3, 4, 5]
        assert type(seen[6]).__name__ == "CaughtUp", seen[6]


def refusals(client):
    binary = NewEvent(type="Scan", data=b"\x00", content_type="application/octet-stream")
    call = client.append_to_stream
    raised = fails(KurrentDBClientError, call, "py", current_version=5, events=binary)
    assert "this log takes application/json only" in str(raised), raised
    for destroy in (client.delete_stream, client.tombstone_stream):
        raised = fails(KurrentDBClientError, destroy, "py", current_version=5)
        assert "this log is immutable" in str(raised), raised


def main():
    client = KurrentDBClient(uri=sys.argv[1])
    appends_and_conflicts(client)
    reads(client)
    subscriptions(client)
    refusals(client)
    print("restart", flush=True)
    sys.stdin.readline()
    assert numbers(client.get_stream("py")) == [0, 1, 2, 3, 4, 5]
    client.append_to_stream("py", current_version=5, events=event(6))
    with client.subscribe_to_stream("py", stream_position=4) as tail:
        assert numbers(follow(tail, 2)) == [5, 6]
    client.close()
    print("done", flush=True)


main()
