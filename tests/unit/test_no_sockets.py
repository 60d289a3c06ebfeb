"""What the other unit tests rest on."""

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_reach_an_address():
    with pytest.raises(pytest.fail.Exception, match="must not open a socket"):
        socket.create_connection(("127.0.0.1", 9))


async def test_a_unit_test_cannot_listen():
    with pytest.raises(pytest.fail.Exception, match="must not open a socket"):
        await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)


async def test_a_unit_test_may_use_an_event_loop():
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 5) == 1
