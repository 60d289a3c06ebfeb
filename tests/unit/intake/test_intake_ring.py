from ingress.webhook.ring import Ring


def kept(ring: Ring) -> list[bytes]:
    return [acked.packed for acked in ring.entries()]


def test_entries_are_remembered_oldest_first() -> None:
    ring = Ring(100)
    for number in range(3):
        ring.add((number, 0), b"%d" % number, float(number))
    assert kept(ring) == [b"0", b"1", b"2"]
    assert ring.edge is None


def test_old_entries_are_forgotten_and_the_newest_of_them_is_the_edge() -> None:
    ring = Ring(100)
    for number in range(5):
        ring.add((number, 0), b"%d" % number, float(number))
    ring.forget(before=3.0)
    assert kept(ring) == [b"3", b"4"]
    assert ring.edge == (2, 0)


def test_the_ring_is_bounded_in_bytes() -> None:
    ring = Ring(10)
    for number in range(5):
        ring.add((number, 0), b"xxxx", 0.0)
    assert len(kept(ring)) == 2
    assert ring.edge == (2, 0)


def test_an_entry_larger_than_the_ring_is_beyond_its_edge() -> None:
    ring = Ring(10)
    ring.add((1, 0), b"x" * 11, 0.0)
    assert kept(ring) == []
    assert ring.edge == (1, 0)


def test_entries_sent_again_are_remembered_under_their_new_positions() -> None:
    ring = Ring(100)
    ring.add((1, 0), b"one", 0.0)
    ring.add((2, 0), b"two", 1.0)
    sent = ring.entries()
    ring.add((3, 0), b"meanwhile", 2.0)
    ring.renew([(acked, (10 + n, 0)) for n, acked in enumerate(sent)], 5.0)
    assert [(acked.position, acked.packed) for acked in ring.entries()] == [
        ((3, 0), b"meanwhile"),
        ((10, 0), b"one"),
        ((11, 0), b"two"),
    ]
    ring.forget(before=4.0)
    assert kept(ring) == [b"one", b"two"]


def test_what_was_dropped_while_it_was_sent_again_stays_sent() -> None:
    ring = Ring(8)
    ring.add((1, 0), b"one.", 0.0)
    sent = ring.entries()
    ring.add((2, 0), b"two.two.", 1.0)
    ring.renew([(sent[0], (10, 0))], 2.0)
    assert kept(ring) == [b"one."]
    assert ring.edge == (2, 0)
