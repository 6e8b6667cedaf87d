#!/usr/bin/env bash
# `make bench`: publishers against a fresh server on loopback, and the checker's figures for one of the streams.
set -euo pipefail
bin=${1:?usage: deploy/bench.sh DIRECTORY}
count=${COUNT:-10} seconds=${SECONDS_TO_RUN:-60}

work=$(mktemp -d)
pids=()
finish() {
    trap - EXIT
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

HTTP_ADDR=127.0.0.1:0 RTMP_ADDR=127.0.0.1:0 STORAGE_DIR="$work/streams" STATE_DIR="$work/state" \
    RAPIDRTMP__AUTH__OPEN_PUBLISH='bench/*' "$bin/rapidrtmp" serve >"$work/listening" 2>"$work/log" &
pids+=($!)
for _ in $(seq 150); do grep -q '^listening ' "$work/listening" && break; sleep 0.1; done
http=$(sed -n 's/^listening .*http=\([^ ]*\).*/\1/p' "$work/listening")
rtmp=$(sed -n 's/^listening .*rtmp=\([^ ]*\).*/\1/p' "$work/listening")
[ -n "$http" ] || { cat "$work/log" >&2; exit 1; }

"$bin/rapidrtmp-bench" publish "rtmp://$rtmp/bench/{n}" --count "$count" --seconds $((seconds + 5)) >"$work/publish" 2>/dev/null &
pids+=($!)
sleep 3
"$bin/rapidrtmp-bench" check "http://$http/bench/0/index.m3u8" --seconds "$seconds" || true
cpu=$(ps -o cputimes= -p "${pids[0]}" | tr -d ' ')
memory=$(ps -o rss= -p "${pids[0]}" | tr -d ' ')
wait "${pids[1]}" || true
cat "$work/publish"
echo "server: $cpu s of CPU, $((memory / 1024)) MiB resident, $count publishers for $seconds s"
