"""So many events a second, or as many as the connections bring."""

from tests.bench import figures
from tests.bench.figures import Figures
from tests.bench.follower import following, visible
from tests.bench.loads import rows
from tests.bench.loads.size import Size
from tests.bench.sender import send
from tests.bench.servers import Servers
from tests.bench.systems import System
from tests.bench.traffic import events, posts


async def ack(
    servers: Servers, system: System, size: Size, connections: int, processes: str = "1"
) -> Figures:
    """Only the answers, as many as the connections bring; no worker takes part of the machine."""
    count = int(size.seconds * (500 if connections < 16 else 1500))
    async with system.running(servers, INGRESS_PROCESSES=processes) as it:
        await send(it.port, posts(events(rows.WARM, seed=1)), connections=connections)
        return figures.acks(await send(it.port, posts(events(count)), connections=connections))


async def steady(
    servers: Servers, system: System, size: Size, rate: int, hot: bool = False
) -> Figures:
    """So many events a second, whether or not they are answered."""
    async with system.running(servers) as it:
        await rows.warm(it)
        happened = events(int(rate * size.seconds), hot=hot)
        before = it.cpu()
        async with following(it.database) as follower:
            answers = await send(it.port, posts(happened), rate)
            found = await rows.arrived(it.database, rows.WARM + len(happened))
            spent = it.cpu(follower.backend).per_1000(before, len(happened))
    return {
        **figures.acks(answers),
        **figures.visible(answers, visible(found, follower.snapshots), happened),
        **spent,
    }


async def one_at_a_time(servers: Servers, system: System, size: Size) -> Figures:
    """Twenty a second: each is stored and all are at rest before the next one comes."""
    return await steady(servers, system, size, 20)
