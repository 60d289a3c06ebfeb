"""How long and how much: whole or short."""

from msgspec import Struct


class Size(Struct, frozen=True):
    """Seconds of a steady load, rates for everybody and for us alone, and so on."""

    seconds: float
    rates: tuple[int, ...]
    our_rates: tuple[int, ...]
    connections: tuple[int, ...]
    backlog: int
    stored: int
    idle: float


WHOLE = Size(6, (50, 200, 600), (1000, 2500), (1, 16, 64, 256), 100_000, 30_000, 60)
SHORT = Size(3, (200,), (1000,), (64,), 20_000, 10_000, 5)
