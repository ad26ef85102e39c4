#!/usr/bin/env python3
"""Checks the cluster protocol with redis-py: python3 cluster.py HOST SHARD_PORT

The server runs with shard-ports on. Slots must be complete, every command must go to the core that
has the key, and no request may cross from core to core. Exits with 0 if all holds.
"""

import sys

from redis.cluster import RedisCluster

KEYS = 2000


def remote_requests(client):
    nodes = client.get_primaries()
    return client.info("trestle", target_nodes=nodes[0])["total_remote_sent"]


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    client = RedisCluster(host=host, port=port, decode_responses=True)
    nodes = client.get_primaries()
    slots = client.cluster_slots()
    covered = sum(last - first + 1 for first, last in slots)
    check(covered == 16384, f"all slots have an owner, {covered} have")
    check(len(slots) == len(nodes), "every node has one range of slots")
    ids = {client.execute_command("CLUSTER MYID", target_nodes=node) for node in nodes}
    check(len(ids) == len(nodes), "every port answers as a node of its own")

    before = remote_requests(client)
    for number in range(KEYS):
        check(client.set(f"cluster:{number}", number), "SET")
    for number in range(KEYS):
        value = client.get(f"cluster:{number}")
        check(value == str(number), f"GET cluster:{number} gives {value}")
    with client.pipeline() as pipeline:
        for number in range(KEYS):
            pipeline.incr(f"cluster:{number}")
        check(pipeline.execute() == [number + 1 for number in range(KEYS)], "pipelined INCR")
    check(client.mget_nonatomic([f"cluster:{n}" for n in range(50)])[7] == "8", "MGET by slots")
    check(client.mset({"{tag}a": 1, "{tag}b": 2}), "MSET within a slot")
    after = remote_requests(client)
    check(after == before, f"{after - before} requests went from core to core")

    slot = client.keyslot("{tag}a")
    count = client.execute_command("CLUSTER COUNTKEYSINSLOT", slot, target_nodes=nodes[0])
    check(count >= 2, f"COUNTKEYSINSLOT {slot} gives {count}")
    listed = client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100, target_nodes=nodes[-1])
    check({"{tag}a", "{tag}b"} <= set(listed), f"GETKEYSINSLOT {slot} gives {listed}")
    client.delete("{tag}a", "{tag}b", *[f"cluster:{n}" for n in range(KEYS)])
    print(f"ok: {len(nodes)} nodes, {KEYS * 3} requests, none from core to core")


main()
