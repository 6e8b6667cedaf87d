# The server in a small image: no compiler, no shell tools beyond Debian's, no ffmpeg; not root.
FROM node:22-bookworm-slim AS assets
WORKDIR /assets
COPY deploy/assets/package.json deploy/assets/package-lock.json deploy/assets/.npmrc ./
RUN npm ci --no-audit --no-fund

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=assets /assets/node_modules/hls.js/dist/hls.min.js assets/hls.min.js
COPY --from=assets /assets/node_modules/hls.js/LICENSE assets/hls.LICENSE
RUN cargo build --locked --release -p rapidrtmp

FROM debian:bookworm-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/rapidrtmp --shell /usr/sbin/nologin rapidrtmp
COPY --from=build /src/target/release/rapidrtmp /usr/local/bin/rapidrtmp
COPY LICENSE /usr/share/doc/rapidrtmp/LICENSE
USER 10001
WORKDIR /var/lib/rapidrtmp
# All interfaces, or nothing outside the container could connect. Admin routes then need ADMIN_TOKEN.
ENV HTTP_ADDR=:8080 RTMP_ADDR=:1935 STORAGE_DIR=/var/lib/rapidrtmp/streams STATE_DIR=/var/lib/rapidrtmp/state
VOLUME ["/var/lib/rapidrtmp"]
EXPOSE 8080 1935
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["rapidrtmp", "healthcheck"]
ENTRYPOINT ["rapidrtmp"]
CMD ["serve"]
