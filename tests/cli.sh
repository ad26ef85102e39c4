#!/usr/bin/env bash
# Uses the server through the command-line tools of Redis, as an operator would.
#
#     PORT=... tests/cli.sh
#
# Each check must end with status 0, print no error, and print what is expected. Prints a line per
# check and a count; exits 1 if any failed.
set -uo pipefail

: "${PORT:?the port of a server}"
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
passed=0
failed=0

# check NAME PATTERN COMMAND...: the output has a line that matches the extended PATTERN.
check() {
    local name=$1 pattern=$2 status=0
    shift 2
    timeout 120 "$@" >"$directory/out" 2>"$directory/err" </dev/null || status=$?
    verdict "$name" "$pattern" "$status"
}

# verdict NAME PATTERN STATUS: judges what check or a pipe left in out and err.
verdict() {
    local name=$1 pattern=$2 status=$3 why=
    # Progress is overwritten in place.
    tr '\r' '\n' <"$directory/out" >"$directory/lines"
    if [ "$status" != 0 ]; then
        why="status $status"
    elif [ -s "$directory/err" ]; then
        why="printed to the error output"
    elif grep -qE '^\(error\)|^-?ERR |Error:|Error from|WARNING|Could not' "$directory/lines"; then
        why="printed an error"
    elif ! grep -qE -- "$pattern" "$directory/lines"; then
        why="no line matches $pattern"
    fi
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name: $why"
        tail -n 15 "$directory/lines" | sed 's/^/        /'
        tail -n 15 "$directory/err" | sed 's/^/        /'
    fi
}

cli() {
    redis-cli -p "$PORT" "$@"
}
export PORT

check ping '^PONG$' redis-cli -p "$PORT" ping
check "resp3" 'server' redis-cli -p "$PORT" -3 hello
check flushall '^OK$' redis-cli -p "$PORT" flushall

# 20,000 keys through the pipe mode, of which some are big.
{
    for ((i = 0; i < 20000; i++)); do
        printf 'SET key:%d %d\r\n' "$i" "$i"
    done
    printf 'SET big:1 %s\r\n' "$(head -c 30000 /dev/zero | tr '\0' x)"
    printf 'SET "with space" 1\r\n'
} >"$directory/commands"
timeout 60 redis-cli -p "$PORT" --pipe <"$directory/commands" >"$directory/out" 2>"$directory/err"
verdict "pipe" 'errors: 0, replies: 20002' $?
check "dbsize after pipe" '^20002$' redis-cli -p "$PORT" dbsize

check "bigkeys" "^Biggest string found .*big:1.+ has 30000 bytes" redis-cli -p "$PORT" --bigkeys
check "bigkeys counts" '^20002 strings with [0-9]+ bytes \(100.00% of keys' redis-cli -p "$PORT" --bigkeys
check "memkeys" "^Biggest string found .*big:1.+ has [0-9]+ bytes" redis-cli -p "$PORT" --memkeys

cli --scan >"$directory/scanned" 2>"$directory/err"
sort -u "$directory/scanned" | wc -l >"$directory/out"
verdict "scan finds each key" '^20002$' 0
cli --scan --pattern 'key:1999?' 2>"$directory/err" | sort -u | wc -l >"$directory/out"
verdict "scan with a pattern" '^10$' 0

# --stat never ends by itself: some ticks are enough.
timeout 2 stdbuf -oL redis-cli -p "$PORT" -i 0.2 --stat >"$directory/out" 2>"$directory/err"
verdict "stat" '^20002 +[0-9.]+[BKMG] +[0-9]+ +' $(($? == 124 ? 0 : 1))
check "latency" '^[0-9]+ [0-9]+ [0-9.]+ [0-9]+' redis-cli -p "$PORT" --latency -i 1
check "repeat" '^3$' redis-cli -p "$PORT" -r 3 incr repeated
check "csv" '^"0","1"' redis-cli -p "$PORT" --csv mget key:0 key:1
check "transaction from standard input" '^OK$' bash -c 'printf "MULTI\nSET a 1\nEXEC\n" | redis-cli -p "$PORT"'
check "info" '^redis_version:' redis-cli -p "$PORT" info

for depth in 1 16; do
    check "benchmark, pipeline $depth" '^ *MSET \(10 keys\): [0-9.]+ requests per second' \
        redis-benchmark -p "$PORT" -t ping,set,get,incr,mset -P "$depth" -c 50 -n 20000 -r 10000 \
        --threads 2 -q
done
check "ping after all" '^PONG$' redis-cli -p "$PORT" ping

echo "cli: $passed passed, $failed failed"
[ "$failed" = 0 ]
