"""Each process does its whole job with its own few rights, and is refused everything else."""

import asyncpg
import pytest
import redis.asyncio
from redis.exceptions import NoPermissionError

from shared.redis import connect
from tests.deploy.conftest import DEPLOY, Roles


async def test_every_table_and_function_was_thought_of(roles: Roles):
    """A new one is granted to whoever needs it, or somebody decided that nobody does."""
    connection = await asyncpg.connect(roles.database("migrator"))
    there = await connection.fetch(
        "select relname as name from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p', 'v', 'm') and not relispartition"
        " union all select proname from pg_proc where pronamespace = 'public'::regnamespace"
    )
    await connection.close()
    grants = (DEPLOY / "postgres/grants.sql").read_text()
    assert [one["name"] for one in there if one["name"] not in grants] == []


BEYOND = [
    ("ingress", "select entry from webhook_inbox"),
    ("ingress", "delete from webhook_inbox"),
    ("ingress", "update webhook_inbox set claimed_by = 'me'"),
    ("ingress", "select access_token from facebook_pages"),
    ("ingress", "select text from messages"),
    ("ingress", "insert into messages (page_id, mid) values ('1', 'm_1')"),
    ("ingress", "delete from gaps"),
    ("ingress", "select user_id from privacy_requests"),
    ("ingress", "create table mine ()"),
    ("ingress", "create temporary table mine ()"),
    ("api", "insert into messages (page_id, mid) values ('1', 'm_1')"),
    ("api", "select access_token from facebook_pages"),
    ("api", "select p from facebook_pages p"),
    ("api", "update facebook_pages set name = encode(access_token, 'hex')"),
    ("api", "update facebook_pages set access_token = '' returning access_token"),
    ("api", "update messages set text = 'never said'"),
    ("api", "insert into api_keys (name, digest, scope) values ('mine', '', 'admin')"),
    ("api", "update api_keys set scope = 'admin'"),
    ("api", "select entry from webhook_inbox"),
    ("api", "select keep_raw_partitions(now(), '0s')"),
    ("api", "truncate messages"),
    ("api", "select salt from erasure_salt"),
    ("api", "create table mine ()"),
    ("worker", "select digest from api_keys"),
    ("worker", "insert into sessions (digest) values ('')"),
    ("worker", "insert into facebook_pages (facebook_page_id, name) values ('1', 'Mine')"),
    ("worker", "update facebook_pages set access_token = ''"),
    ("worker", "delete from facebook_pages"),
    ("worker", "drop table raw_events"),
    ("worker", "alter table messages disable trigger all"),
    ("worker", "create table mine ()"),
    ("worker", "delete from erased"),
    ("worker", "update audit set subject = ''"),
    ("operator", "delete from erased"),
    ("operator", "delete from audit"),
    ("operator", "drop table messages"),
    ("operator", "create table mine ()"),
]


async def test_postgres_refuses_what_is_not_its_business(roles: Roles):
    allowed = []
    for kind, statement in BEYOND:
        connection = await asyncpg.connect(roles.database(kind))
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        finally:
            await connection.close()
        allowed.append((kind, statement))
    assert allowed == []


KINDS = ("ingress", "api", "worker", "operator", "producer")
FOREIGN = [
    (kind, command)
    for kind in KINDS
    for command in (
        "FLUSHALL", "FLUSHDB", "KEYS *", "SHUTDOWN", "CONFIG SET appendonly no", "CONFIG REWRITE",
        "MODULE LIST", "ACL LIST", "ACL SETUSER me on", "CLIENT LIST",
        "CLIENT KILL ID 1", "REPLICAOF NO ONE", "MONITOR", "SAVE", "BGREWRITEAOF",
        "FUNCTION LIST", "SCRIPT FLUSH", "GET secret", "SET secret 1", "EVAL return(1) 0",
        "EVAL return(redis.call('GET',KEYS[1])) 1 secret", "PUBLISH elsewhere x",
        "DEL pagewire:backlog",
    )
]  # fmt: skip
FOREIGN += [
    ("ingress", "XTRIM pagewire:backlog MAXLEN 0"),
    ("ingress", "XDEL pagewire:backlog 0-1"),
    ("ingress", "XREADGROUP GROUP workers me STREAMS pagewire:backlog >"),
    ("ingress", "XGROUP DESTROY pagewire:backlog workers"),
    ("ingress", "XADD pagewire:other * e 1"),
    ("ingress", "ZADD pagewire:now 1 job"),
    ("ingress", "SCRIPT LOAD return(1)"),
    ("ingress", "SUBSCRIBE pagewire:changes"),
    ("api", "XADD pagewire:backlog * e 1"),
    ("api", "XRANGE pagewire:backlog - +"),
    ("api", "CONFIG GET requirepass"),
    ("api", "SCRIPT LOAD return(1)"),
    ("api", "ZREM pagewire:now job"),
    ("api", "GET pagewire:graph:app"),
    ("worker", "EVALSHA 0 1 pagewire:cache:x"),
    ("worker", "GET pagewire:graph:app"),
    ("worker", "XGROUP DESTROY pagewire:backlog workers"),
    ("worker", "XGROUP SETID pagewire:backlog workers 0"),
    ("operator", "XADD pagewire:backlog * e 1"),
    ("operator", "SET pagewire:graph:app 1"),
    ("producer", "GET arq:job:1"),
    ("producer", "ZRANGE pagewire:now 0 -1"),
    ("producer", "XADD pagewire:backlog * e 1"),
    ("producer", "INFO"),
]


async def test_redis_refuses_what_is_not_its_business(roles: Roles):
    allowed = []
    clients = {kind: connect(roles.redis(kind)) for kind in KINDS}
    for kind, command in FOREIGN:
        try:
            await clients[kind].execute_command(*command.split())
        except NoPermissionError:
            continue
        allowed.append((kind, command))
    for client in clients.values():
        await client.aclose()
    assert allowed == []


async def test_redis_lets_nobody_in_without_a_password(guarded_redis):
    client = redis.asyncio.Redis.from_url(f"unix://{guarded_redis.socket}")
    with pytest.raises(redis.exceptions.ConnectionError, match="Authentication required"):
        await client.ping()
    await client.aclose()
