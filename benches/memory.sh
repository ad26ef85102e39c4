#!/bin/sh
# Bytes per key of a shard beside redis-server: the same keys of 13 bytes and values of 16.
#
# Usage: benches/memory.sh [keys]    (default 2000000; 10000000 needs 2 GB)
# Needs redis-server, redis-cli and cargo. Figures of Redis are used_memory and resident bytes, each
# less what the empty server has; those of the shard are its ledger and the resident bytes of the bench.
set -eu

keys=${1:-2000000}
port=${PORT:-17650}
dir=$(mktemp -d)

redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" >"$dir/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; rm -rf "$dir"' EXIT
cli() { redis-cli -p "$port" "$@"; }
until cli ping >/dev/null 2>&1; do sleep 0.1; done

field() { cli info memory | tr -d '\r' | sed -n "s/^$1://p"; }
# Writes the requests for the keys from $1 up to, not including, $2.
requests() {
    awk -v from="$1" -v to="$2" 'BEGIN {
        for (number = from; number < to; number++)
            printf "*3\r\n$3\r\nSET\r\n$13\r\nkey:%09d\r\n$16\r\n0123456789abcdef\r\n", number
    }'
}

used_before=$(field used_memory)
resident_before=$(field used_memory_rss)
printf 'redis-server %s\n' "$(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')"
printf 'keys         used  resident   bytes per key\n'
loaded=0
for count in 200000 500000 700000 1000000 1500000 2000000 4000000 10000000 20000000; do
    [ "$count" -le "$keys" ] || break
    requests "$loaded" "$count" | cli --pipe >/dev/null
    loaded=$count
    used=$(($(field used_memory) - used_before))
    resident=$(($(field used_memory_rss) - resident_before))
    awk -v count="$count" -v used="$used" -v resident="$resident" \
        'BEGIN { printf "%-9d %7.1f  %8.1f\n", count, used / count, resident / count }'
done

printf '\nshard\n'
cargo bench --quiet -p shard --bench dict -- memory "$keys" | sed '/^$/,$d'
