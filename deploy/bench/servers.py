"""The servers that are compared: how each is started, and where its streams are.

Nothing is fetched or built here. RapidRTMP comes from target/release; nginx from Debian (with libnginx-mod-rtmp); the
others from programs that the reader has: --server mediamtx=/path/to/mediamtx, --server srs=/path/to/srs.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One running server, its files on tmpfs. CPU and memory are those of its whole process tree."""

    name = "?"

    def __init__(self, program):
        self.program = program
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/dev/shm"))
        self.rtmp, self.http = free_port(), free_port()
        self.log = open(self.dir / "log", "wb")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command(), cwd=self.dir, env={**os.environ, **self.environment()},
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        self.startup = self.until_listening()

    def environment(self):
        return {}

    def until_listening(self):
        ports = [self.rtmp, self.http]
        while ports:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", ports[0])) == 0:
                    ports.pop(0)
                    continue
            if self.process.poll() is not None or time.monotonic() > self.started + 15:
                raise SystemExit(f"{self.name} did not start:\n{(self.dir / 'log').read_text()[-2000:]}")
            time.sleep(0.0005)
        return time.monotonic() - self.started

    def pids(self):
        found, queue = [], [self.process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                queue += [int(p) for p in task.read_text().split()]
        return found

    def cpu(self):
        """CPU seconds so far, as the scheduler accounts them: exact, where ticks miss work that is done between them.

        Threads that have ended are not in it; a server under steady load keeps those that it needs.
        """
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except FileNotFoundError:
                    continue
        return total / 1e9

    def memory(self):
        """Resident bytes."""
        return sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.pids())

    def publish_url(self):
        return f"rtmp://127.0.0.1:{self.rtmp}/live/{{n}}"

    def playlist(self, n=0):
        """The media playlist of stream n."""
        raise NotImplementedError

    def multivariant(self, n=0):
        """What a player opens for stream n, where that is another playlist."""
        return self.playlist(n)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class RapidRtmp(Server):
    name = "RapidRTMP"

    def command(self):
        return [self.program or ROOT / "target/release/rapidrtmp", "serve"]

    def environment(self):
        return {
            "HTTP_ADDR": f"127.0.0.1:{self.http}", "RTMP_ADDR": f"127.0.0.1:{self.rtmp}",
            "STORAGE_DIR": f"{self.dir}/streams", "STATE_DIR": f"{self.dir}/state",
            "RAPIDRTMP__AUTH__OPEN_PUBLISH": "live/*", "MAX_CONCURRENT_STREAMS": "1000",
        }

    def playlist(self, n=0):
        return f"http://127.0.0.1:{self.http}/live/{n}/media.m3u8"

    def multivariant(self, n=0):
        return f"http://127.0.0.1:{self.http}/live/{n}/index.m3u8"


class Nginx(Server):
    """nginx-rtmp writing plain TS HLS, its files served by the same nginx: one worker."""

    name = "nginx-rtmp"

    def command(self):
        (self.dir / "hls").mkdir()
        (self.dir / "nginx.conf").write_text(f"""
            load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
            user root; worker_processes 1; daemon off; pid {self.dir}/pid; error_log {self.dir}/error.log warn;
            events {{ worker_connections 20000; }}
            rtmp {{ server {{ listen 127.0.0.1:{self.rtmp}; chunk_size 4096; application live {{
                live on; hls on; hls_path {self.dir}/hls; hls_fragment 2s; hls_playlist_length 20s; }} }} }}
            http {{ access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on;
                types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/iso.segment m4s; }}
                server {{ listen 127.0.0.1:{self.http}; root {self.dir}/hls; }} }}
        """)
        return [self.program or "nginx", "-p", self.dir, "-c", self.dir / "nginx.conf"]

    def playlist(self, n=0):
        return f"http://127.0.0.1:{self.http}/{n}.m3u8"


class Srs(Server):
    """SRS writing plain TS HLS, 2 s segments."""

    name = "SRS"

    def command(self):
        (self.dir / "srs.conf").write_text(f"""
            listen {self.rtmp}; max_connections 10000; daemon off; srs_log_tank console; srs_log_level error;
            pid {self.dir}/srs.pid; work_dir {self.dir};
            http_server {{ enabled on; listen {self.http}; dir {self.dir}/hls; }}
            vhost __defaultVhost__ {{ hls {{ enabled on; hls_path {self.dir}/hls; hls_fragment 2; hls_window 20; }} }}
        """)
        return [self.program, "-c", self.dir / "srs.conf"]

    def playlist(self, n=0):
        return f"http://127.0.0.1:{self.http}/live/{n}.m3u8"


class MediaMtx(Server):
    """MediaMTX with its LL-HLS muxers always on, as in its documentation for low latency."""

    name = "MediaMTX"
    variant = "lowLatency"

    def command(self):
        (self.dir / "m.yml").write_text(f"""
logLevel: error
rtsp: no
srt: no
webrtc: no
rtmpAddress: 127.0.0.1:{self.rtmp}
hlsAddress: 127.0.0.1:{self.http}
hlsVariant: {self.variant}
hlsAlwaysRemux: yes
hlsSegmentDuration: 2s
hlsSegmentCount: 10
paths: {{ all_others: }}
""")
        return [self.program, self.dir / "m.yml"]

    def playlist(self, n=0):
        return f"http://127.0.0.1:{self.http}/live/{n}/index.m3u8"


SERVERS = {"rapidrtmp": RapidRtmp, "nginx": Nginx, "srs": Srs, "mediamtx": MediaMtx}
