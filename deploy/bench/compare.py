#!/usr/bin/env python3
"""Servers side by side on this machine, in turn, round by round; medians are printed and written as JSON.

  deploy/bench/compare.py packaging --server rapidrtmp --server nginx --server srs=/path/to/srs
  deploy/bench/compare.py http      --server rapidrtmp --server nginx
  deploy/bench/compare.py start     --server rapidrtmp --server nginx
  deploy/bench/compare.py latency   --server rapidrtmp --server mediamtx=/path/to/mediamtx
  deploy/bench/compare.py held      --server rapidrtmp --connections 5000
  deploy/bench/compare.py growth    --server rapidrtmp

`make bench-tools` builds and installs what it takes: the release build, ffmpeg, nginx and wrk. Everything goes over
loopback, files to tmpfs. One core is 100 %.
"""

import argparse
import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time
import urllib.request

from servers import ROOT, SERVERS

BENCH = ROOT / "target/release/rapidrtmp-bench"
CLIP = ROOT / "target/bench-clip.flv"
# A window of 20 s is full then, and what fills it no longer costs.
WARM = 24


def clip():
    """1280x720, 30 frames a second, H.264 of 2.5 Mbit/s, a keyframe every 2 s, AAC 128 kbit/s; made once."""
    if not CLIP.exists():
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720:r=30,noise=alls=20:allf=t",
             "-f", "lavfi", "-i", "sine=440:r=44100", "-t", "20", "-c:v", "libx264", "-preset", "veryfast",
             "-b:v", "2500k", "-minrate", "2500k", "-maxrate", "2500k", "-bufsize", "2500k", "-nal-hrd", "cbr",
             "-g", "60", "-sc_threshold", "0", "-bf", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k",
             "-ac", "2", "-f", "flv", "-y", CLIP], check=True)
    return CLIP


@contextlib.contextmanager
def publishing(server, count):
    stagger = str(max(1, 2000 // count))
    p = subprocess.Popen(
        [BENCH, "publish", server.publish_url(), "--file", clip(), "--count", str(count), "--stagger", stagger, "--json"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield p
        if p.poll() is not None:
            raise SystemExit(f"{server.name}: publishing ended early")
    finally:
        p.terminate()
        p.wait()


@contextlib.contextmanager
def running(kind, program):
    server = SERVERS[kind](program)
    try:
        yield server
    finally:
        server.stop()


def fetch(url):
    return urllib.request.urlopen(url, timeout=30).read().decode()


def packaging(server, o, count=None):
    with publishing(server, count or o.publishers):
        time.sleep(WARM)
        cpu, at = server.cpu(), time.monotonic()
        early = server.memory()
        time.sleep(o.seconds)
        share = (server.cpu() - cpu) / (time.monotonic() - at) * 100
        late = server.memory()
    return {"cpu %": share, "memory MB": late / 1e6, "memory MB before": early / 1e6}


def wrk(server, url, seconds):
    cpu, at = server.cpu(), time.monotonic()
    out = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}", url], capture_output=True, text=True, check=True).stdout
    cpu, took = server.cpu() - cpu, time.monotonic() - at
    if "Non-2xx" in out:
        raise SystemExit(f"{server.name}: {url} did not answer 200 each time\n{out}")
    requests, amount, unit = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+)([KMG])B read", out).groups()
    gigabytes = float(amount) * {"K": 2**10, "M": 2**20, "G": 2**30}[unit] / 1e9
    return int(requests), gigabytes, cpu, took


def http(server, o):
    with publishing(server, 1):
        time.sleep(10)
        url = server.playlist()
        text = fetch(url)
        if "EXT-X-STREAM-INF" in text:
            url = url.rsplit("/", 1)[0] + "/" + last_uri(text)
            text = fetch(url)
        segment = url.rsplit("/", 1)[0] + "/" + last_uri(text)
        requests, _, cpu, took = wrk(server, url, o.seconds)
        result = {"playlist µs": cpu / requests * 1e6, "playlist req/s": requests / took}
        requests, gigabytes, cpu, took = wrk(server, segment, o.seconds)
        return result | {"segment s/GB": cpu / gigabytes, "segment req/s": requests / took}


def last_uri(text):
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")][-1]


def start(server, o):
    time.sleep(1)
    return {"start ms": server.startup * 1000, "idle MB": server.memory() / 1e6}


def latency(server, o):
    with publishing(server, o.publishers):
        time.sleep(5)
        rtmp = server.publish_url().replace("{n}", "stamped")
        out = subprocess.run(
            [BENCH, "latency", rtmp, server.multivariant("stamped"), "--size", "1280x720", "--bitrate", "2500000",
             "--seconds", str(o.seconds), "--json"], capture_output=True, text=True).stdout
    r = json.loads(out)
    part = r["part_readable_ms"]
    return {"part ms median": part["median"], "part ms p99": part["p99"], "first part ms": r["connect_to_first_part_ms"]}


def held(server, o):
    with publishing(server, 1):
        time.sleep(8)
        out = subprocess.run(
            [BENCH, "held", server.playlist(), "--connections", str(o.connections), "--rounds", str(o.held_rounds),
             "--pid", str(server.process.pid), "--json"], capture_output=True, text=True)
    if not out.stdout:
        raise SystemExit(f"{server.name}: {out.stderr}")
    r = json.loads(out.stdout)
    return {
        "all answered ms median": r["all_answered_ms"]["median"], "all answered ms max": r["all_answered_ms"]["max"],
        "cpu µs": r["cpu_us_an_answer"], "memory KiB": r["bytes_a_connection"] / 1024, "failed": r["failed"],
    }


def growth(server, o):
    """One server of each size is started by `main`; here it is measured."""
    measured = packaging(server, o, o.size)
    return {f"{key} at {o.size}": value for key, value in measured.items() if key != "memory MB before"}


MEASURES = {f.__name__: f for f in (packaging, http, start, latency, held, growth)}


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("measure", choices=MEASURES)
    p.add_argument("--server", action="append", required=True, metavar="NAME[=PROGRAM]")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=15, help="of each measurement")
    p.add_argument("--publishers", type=int, default=50)
    p.add_argument("--connections", type=int, default=1000, help="of held")
    p.add_argument("--held-rounds", type=int, default=10)
    p.add_argument("--sizes", default="10,50,100,200", help="publishers of growth")
    p.add_argument("--json", type=pathlib.Path, help="write the medians and all rounds there")
    return p.parse_args()


def rounds(o):
    """All measurements, in turn: {server: {figure: [values]}}."""
    found = {}
    for n in range(o.rounds):
        for spec in o.server:
            kind, _, program = spec.partition("=")
            for size in map(int, o.sizes.split(",")) if o.measure == "growth" else [None]:
                o.size = size
                with running(kind, program or None) as server:
                    figures = MEASURES[o.measure](server, o)
                print(f"round {n + 1} {server.name}: {show(figures)}", file=sys.stderr, flush=True)
                for key, value in figures.items():
                    found.setdefault(server.name, {}).setdefault(key, []).append(value)
    return found


def show(figures):
    return ", ".join(f"{key} {value:.2f}" for key, value in figures.items())


def main():
    o = options()
    found = rounds(o)
    medians = {s: {k: statistics.median(v) for k, v in f.items()} for s, f in found.items()}
    figures = list(next(iter(medians.values())))
    print("| | " + " | ".join(figures) + " |")
    print("|---|" + "--:|" * len(figures))
    for name, values in medians.items():
        print(f"| {name} | " + " | ".join(f"{values.get(k, float('nan')):.2f}" for k in figures) + " |")
    if o.json:
        o.json.write_text(json.dumps({"measure": o.measure, "medians": medians, "rounds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
