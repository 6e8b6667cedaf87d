'use strict';
// Plays the stream that the page's address names, and never needs a reload: it waits for a stream that has not
// started, comes back after network loss, and after the end watches for the next publish.
(() => {
  const byId = (id) => document.getElementById(id);
  const video = byId('video');
  const path = decodeURIComponent(location.pathname).replace(/^\/+|\/+$/g, '');

  const RETRY_MS = [500, 1000, 2000, 3000, 5000]; // the last one repeats
  const STALL_MS = 12000; // no progress for so long: ask the server, then build the player anew
  const BEHIND_S = 3; // so far behind the target latency: go to live, unless the viewer paused or sought
  const END_MS = 1500; // no progress for so long after ENDLIST: that was the end
  const SETTLE_MS = 5000; // playing well for so long after a gap in the stream: close the distance again
  const FACTS_MS = 500;
  const API_MS = 5000;
  const API_ABSENT_MS = 30000;

  const sid = session();
  let hls = null;
  let state = 'connecting';
  let attempt = 0;
  let retryTimer = 0;
  let mediaErrors = 0;
  let over = false; // the playlist has its ENDLIST
  let progress = { time: -1, at: performance.now() };
  let heldByViewer = false; // paused, or sought back: leave the position alone
  let seekingSelf = false;
  let gapSince = 0; // the stream itself paused: since when it plays again, or Infinity while it does not
  let detailsTimer = 0;
  let codecs = ''; // what the stream has, by its short names
  let loaded = []; // [time, bytes, seconds of media], the last few seconds

  window.rapidrtmp = Object.freeze({
    get latency() { return latency(); },
    get state() { return state; },
    get hls() { return hls; },
  });

  // One viewer stays one viewer over reloads and reconnects (CMCD sid). randomUUID needs HTTPS, this does not.
  function session() {
    const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))]
      .map((b) => b.toString(16).padStart(2, '0')).join('');
    try {
      const kept = sessionStorage.getItem('rapidrtmp.sid') || fresh();
      sessionStorage.setItem('rapidrtmp.sid', kept);
      return kept;
    } catch {
      return fresh();
    }
  }

  const LABEL = {
    connecting: 'connecting', waiting: 'waiting', playing: 'LIVE', paused: 'paused', buffering: 'buffering',
    offline: 'reconnecting', ended: 'ended', error: 'error',
  };

  function setState(next, text = '') {
    state = next;
    const badge = byId('state');
    badge.dataset.state = next;
    badge.textContent = LABEL[next];
    const message = byId('message');
    message.textContent = text;
    message.hidden = !text;
    // Before the first picture the browser's controls have nothing to control.
    video.controls = video.readyState > 0 && next !== 'waiting';
  }

  function latency() {
    if (hls) return hls.latency > 0 ? hls.latency : null;
    const start = video.getStartDate ? video.getStartDate().getTime() : NaN; // Safari's own player
    return Number.isFinite(start) && video.currentTime > 0
      ? Date.now() / 1000 - start / 1000 - video.currentTime : null;
  }

  // --- getting and keeping the stream -------------------------------------------------------------------

  function start() {
    clearTimeout(retryTimer);
    dispose();
    setState('connecting', 'Connecting…');
    over = false;
    mediaErrors = 0;
    gapSince = 0;
    progress = { time: -1, at: performance.now() };
    if (window.Hls && window.Hls.isSupported()) startHls();
    else if (video.canPlayType('application/vnd.apple.mpegurl')) video.src = 'index.m3u8';
    else if (window.Hls) setState('error', 'This browser cannot play live streams.');
    else setState('error', 'The server was built without hls.js: run "make assets" and build it again.');
    play();
  }

  function startHls() {
    const { Events } = window.Hls;
    hls = new window.Hls({
      lowLatencyMode: true,
      cmcd: { sessionId: sid, contentId: path, useHeaders: true, includeKeys: ['sid', 'cid'] },
    });
    hls.on(Events.ERROR, (_, data) => { if (data.fatal) onFatal(data); });
    hls.on(Events.LEVEL_UPDATED, (_, data) => {
      over = !data.details.live;
    });
    hls.on(Events.FRAG_LOADED, (_, { frag, part }) => {
      // The payload itself may already be a worker's.
      if (frag.sn !== 'initSegment') note((part || frag).stats.loaded, (part || frag).duration);
    });
    hls.attachMedia(video);
    hls.loadSource('index.m3u8');
  }

  function dispose() {
    if (hls) hls.destroy();
    hls = null;
    loaded = [];
    video.removeAttribute('src');
  }

  function play() {
    const started = video.play();
    // Muted playback may start by itself; when even that is refused, the controls are there.
    if (started) started.catch(() => {});
  }

  function onFatal(data) {
    const { ErrorTypes } = window.Hls;
    const status = data.response ? data.response.code : 0;
    const codec = /Codecs?Error$/.test(data.details);
    if (data.type === ErrorTypes.MEDIA_ERROR && !codec && mediaErrors < 2) {
      mediaErrors += 1;
      hls.recoverMediaError();
      play();
    } else if (status === 404 || status === 410) {
      later('waiting', 'This stream has not started yet.');
    } else if (codec) {
      later('error', cannotPlay());
    } else if (data.type === ErrorTypes.NETWORK_ERROR) {
      later('offline', status ? `The server answered ${status}. Trying again.` : 'No connection. Trying again.');
    } else {
      later('error', `Playback failed (${data.details}). Trying again.`);
    }
  }

  // Which browsers decode what differs by system, too: H.265 plays where there is hardware for it.
  function cannotPlay() {
    return codecs ? `This browser cannot play ${codecs}. Try another one.`
      : 'This browser cannot play the codecs of this stream. Try another one.';
  }

  // Asks for the playlist after a pause that grows, and starts over once it is live.
  function later(next, text) {
    setState(next, text);
    if (hls) hls.stopLoad();
    clearTimeout(retryTimer);
    const pause = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
    attempt += 1;
    // A little chance keeps a thousand viewers from coming back in one instant.
    retryTimer = setTimeout(() => probe(next, text), pause * (0.8 + 0.4 * Math.random()));
  }

  async function probe(next, text) {
    try {
      const answer = await fetch('media.m3u8', {
        cache: 'no-store', headers: { 'CMCD-Session': `sid="${sid}"` }, signal: AbortSignal.timeout(15000),
      });
      const playlist = answer.ok ? await answer.text() : '';
      if (answer.ok && !playlist.includes('#EXT-X-ENDLIST')) return start();
      if (answer.ok) return later('ended', 'The stream has ended.');
      if (answer.status === 410) return later('ended', 'The stream has ended.');
      if (answer.status === 404) return later(next === 'ended' ? next : 'waiting',
        next === 'ended' ? text : 'This stream has not started yet.');
      const reason = (await answer.json().catch(() => ({}))).error || `the server answered ${answer.status}`;
      return later('offline', `${reason}. Trying again.`);
    } catch {
      return later('offline', 'No connection. Trying again.');
    }
  }

  function onEnded() {
    attempt = 0;
    later('ended', 'The stream has ended.');
  }

  // A player that neither moves nor reports: ask the server, and build it anew if the stream is there.
  function watch() {
    const now = performance.now();
    if (video.currentTime !== progress.time) {
      progress = { time: video.currentTime, at: now };
      return;
    }
    const idle = video.paused || video.ended || !['playing', 'buffering', 'connecting'].includes(state);
    if (idle) progress.at = now;
    else if (over && now - progress.at > END_MS) onEnded();
    else if (now - progress.at > STALL_MS) {
      progress.at = now;
      later('offline', 'No picture arrives. Trying again.');
    }
  }

  // hls.js stays a second further behind after each stall. That helps where the network was slow; where the stream
  // itself paused (the buffer ran dry right at the live edge) nothing is gained, so the distance is taken back.
  function forgiveGap(away) {
    const now = performance.now();
    const details = hls ? hls.latestLevelDetails : null;
    if (state === 'buffering' && away !== null && away < 0.5) gapSince = Infinity;
    if (state === 'playing' && gapSince === Infinity) gapSince = now;
    if (!gapSince || !details || state !== 'playing' || now - gapSince < SETTLE_MS) return;
    gapSince = 0;
    const target = details.partHoldBack || details.holdBack;
    if (!target || hls.targetLatency <= target) return;
    hls.targetLatency = target;
    if (!heldByViewer) goLive();
  }

  function keepLive() {
    const away = latency();
    forgiveGap(away);
    const behind = hls && away !== null && hls.targetLatency ? away - hls.targetLatency : 0;
    byId('live').hidden = !(heldByViewer && behind > 1);
    if (behind > BEHIND_S && !heldByViewer && state === 'playing') goLive();
  }

  function goLive() {
    heldByViewer = false;
    if (hls && hls.liveSyncPosition) {
      seekingSelf = true;
      video.currentTime = hls.liveSyncPosition;
    }
    play();
  }

  // --- what the page shows ------------------------------------------------------------------------------

  function note(bytes, seconds) {
    const now = performance.now();
    loaded.push([now, bytes, seconds]);
    loaded = loaded.filter(([at]) => now - at < 6000);
  }

  function facts() {
    watch();
    keepLive();
    const away = latency();
    byId('latency').textContent = away === null ? '–' : `${away.toFixed(2)} s`;
    byId('picture').textContent = video.videoWidth ? `${video.videoWidth}×${video.videoHeight}` : '–';
    const [bits, seconds] = loaded.reduce(([b, s], [, bytes, t]) => [b + bytes * 8, s + t], [0, 0]);
    byId('bitrate').textContent = seconds ? `${(bits / seconds / 1e6).toFixed(2)} Mbit/s` : '–';
    const quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality() : null;
    byId('dropped').textContent = quality && quality.totalVideoFrames
      ? `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}` : '–';
    byId('unmute').hidden = !(video.muted && state === 'playing');
  }

  // `live/demo` has the key `demo` or `live/demo`; a path of one part is found in the list only.
  async function about() {
    const one = path.includes('/');
    const answer = await fetch(one ? `/api/v1/streams/${encodeURIComponent(path)}` : '/api/v1/streams',
      { cache: 'no-store' });
    if (!answer.ok) return null;
    const found = await answer.json();
    return one ? found : (found.streams || []).find((s) => s.path === path) || null;
  }

  async function details() {
    clearTimeout(detailsTimer);
    const info = await about().catch(() => null);
    const warnings = info && Array.isArray(info.warnings) ? info.warnings : [];
    codecs = info ? [info.videoCodec, info.audioCodec].filter(Boolean).join(' and ') : '';
    byId('viewers').textContent = info && Number.isFinite(info.viewers) ? String(info.viewers) : '–';
    byId('warnings').replaceChildren(...warnings.map((text) => {
      const item = document.createElement('li');
      item.textContent = text;
      return item;
    }));
    byId('warnings').hidden = warnings.length === 0;
    clearTimeout(detailsTimer);
    detailsTimer = setTimeout(details, !info && ['waiting', 'ended'].includes(state) ? API_ABSENT_MS : API_MS);
  }

  // --- wiring -------------------------------------------------------------------------------------------

  video.addEventListener('playing', () => {
    attempt = 0;
    if (state === 'connecting') details();
    setState('playing');
  });
  video.addEventListener('waiting', () => {
    if (state === 'playing') setState('buffering');
  });
  video.addEventListener('timeupdate', () => {
    if (state === 'buffering' && !video.paused && video.readyState > 2) setState('playing');
  });
  video.addEventListener('pause', () => {
    if (video.ended || state !== 'playing') return;
    heldByViewer = true;
    setState('paused');
  });
  video.addEventListener('play', () => {
    if (state === 'paused') setState('buffering');
  });
  video.addEventListener('seeking', () => {
    // hls.js seeks, too, when it starts and when it jumps a gap; only a seek backwards is a wish.
    if (!seekingSelf && video.currentTime < progress.time - 1) heldByViewer = true;
    seekingSelf = false;
  });
  video.addEventListener('ended', onEnded);
  video.addEventListener('error', () => {
    if (!hls && video.error) later('waiting', 'The stream cannot be loaded. Trying again.');
  });
  byId('unmute').addEventListener('click', () => {
    video.muted = false;
    play();
  });
  byId('live').addEventListener('click', goLive);
  window.addEventListener('online', () => {
    if (state === 'offline') probe(state, '');
  });

  document.title = `${path} · RapidRTMP`;
  byId('title').textContent = path;
  start();
  setInterval(facts, FACTS_MS);
  details();
})();
