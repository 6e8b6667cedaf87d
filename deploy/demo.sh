#!/usr/bin/env bash
# The demo of `make run`: a server on its defaults, a token, a live test picture, and the page that plays it.
set -euo pipefail
server=${1:?usage: deploy/demo.sh RAPIDRTMP}
key=${KEY:-demo}

work=$(mktemp -d)
pids=()
finish() {
    trap - EXIT
    trap 'kill -KILL "${pids[@]}" 2>/dev/null || true' HUP INT TERM
    # The publisher first, so that it ends in good form; then the server.
    for pid in "${pids[@]:1}" "${pids[@]:0:1}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' HUP INT TERM

# Each in a session of its own: Ctrl-C reaches this script alone, which then ends each once and in order. To the server
# a second signal would mean to drop everything.
setsid "$server" serve >"$work/listening" &
pids+=($!)
for _ in $(seq 150); do
    grep -q '^listening ' "$work/listening" && break
    kill -0 "${pids[0]}" 2>/dev/null || { echo "the server did not start (is a port taken?)" >&2; exit 1; }
    sleep 0.1
done
address=$(sed -n 's/^listening .*http=\([^ ]*\).*/\1/p' "$work/listening")
[ -n "$address" ] || { echo "the server did not say where it listens" >&2; exit 1; }
web=http://127.0.0.1:${address##*:}
rtmp=$(sed -n 's/^listening .*rtmp=\([^ ]*\).*/\1/p' "$work/listening")

# The token rides in publishUrl; the host and port are those that are really bound.
minted=$(curl -fsS -X POST "$web/api/v1/publish" -H 'Content-Type: application/json' -d "{\"streamKey\":\"$key\"}")
url=$(printf '%s' "$minted" | sed -n 's/.*"publishUrl" *: *"\([^"]*\)".*/\1/p')
query=${url#*\?}

clock="drawtext=fontfile=/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf:text='%{localtime\:%H\\\\\:%M\\\\\:%S}':fontsize=96:fontcolor=white:box=1:boxcolor=black@0.6:x=(w-tw)/2:y=h-th-48"
setsid ffmpeg -nostdin -hide_banner -loglevel warning -re \
    -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440:sample_rate=48000 \
    -vf "$clock" -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 2500k -g 60 \
    -c:a aac -b:a 128k -f flv "rtmp://127.0.0.1:${rtmp##*:}/live/$key?$query" \
    2> >(exec setsid sed -u 's/token=[^ :]*/token=.../g' >&2) &
pids+=($!)

for _ in $(seq 100); do
    curl -fs -o /dev/null "$web/live/$key/index.m3u8" && break
    sleep 0.1
done
printf '\n  Watch   %s/live/%s/\n  Streams %s/\n  Ctrl-C ends the demo.\n\n' "$web" "$key" "$web"
wait -n "${pids[@]}"
