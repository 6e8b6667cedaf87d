// Plays a stream in headless Chromium and prints one JSON object a quarter of a second.
// node play.mjs player PAGE_URL          the server's own page
// node play.mjs stock PLAYLIST_URL HLS   an empty page with that copy of hls.js, nothing set
// node play.mjs shaka PLAYLIST_URL       an empty page with Shaka, nothing set
// Where the picture holds a clock (code.mjs), a sample has the seconds from glass to glass of the pictures since the
// last one.
// Ends when stdin closes.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { COLUMNS, ROWS, SQUARE, read } from './code.mjs';

const [mode, url, hlsPath] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), 'rapidrtmp-browser-'));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
    '--disable-dev-shm-usage'],
});

let closing = false;
async function close() {
  if (closing) return;
  closing = true;
  await context.close().catch(() => {});
  rmSync(profile, { recursive: true, force: true });
  process.exit(0);
}
process.stdin.on('end', close).on('close', close).resume();
process.on('SIGTERM', close);

const page = context.pages()[0] ?? await context.newPage();
page.on('console', (m) => console.error(`console ${m.type()}: ${m.text()}`));
page.on('pageerror', (e) => console.error(`page error: ${e.message}`));
let loads = 0;
page.on('load', () => { loads += 1; });

if (mode === 'player') {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
} else {
  // A page on another origin, so that cross-origin rules apply as they do for a site that embeds a stream.
  const site = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><link rel="icon" href="data:,"><video id="video" muted playsinline></video>');
  });
  await new Promise((done) => site.listen(0, '127.0.0.1', done));
  await page.goto(`http://127.0.0.1:${site.address().port}/`);
  await page.evaluate(watchGlass, { columns: COLUMNS, rows: ROWS, square: SQUARE });
  if (mode === 'stock') {
    await page.addScriptTag({ path: hlsPath });
    await page.evaluate(playHls, url);
  } else {
    await page.addScriptTag({ path: 'node_modules/shaka-player/dist/shaka-player.compiled.js' });
    await page.evaluate(playShaka, url);
  }
}

// What follows, up to `look`, runs in the page.

function playHls(source) {
  const hls = new Hls();
  window.hls = hls;
  window.fatal = [];
  hls.on(Hls.Events.ERROR, (_, e) => {
    console.log(`hls.js ${e.fatal ? 'FATAL ' : ''}${e.type} ${e.details} ${e.error?.message ?? ''}`);
    if (e.fatal) window.fatal.push(`${e.type} ${e.details}`);
  });
  const video = document.getElementById('video');
  hls.loadSource(source);
  hls.attachMedia(video);
  hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
}

async function playShaka(source) {
  shaka.polyfill.installAll();
  window.fatal = [];
  const player = new shaka.Player();
  const problem = (e) => {
    console.log(`shaka ${e.severity} ${e.category} ${e.code} ${JSON.stringify(e.data ?? '')} ${e.stack ?? ''}`);
    if (e.severity !== 1) window.fatal.push(`shaka ${e.category} ${e.code}`);
  };
  player.addEventListener('error', (e) => problem(e.detail));
  window.shakaPlayer = player;
  const video = document.getElementById('video');
  await player.attach(video);
  await player.load(source).then(() => video.play()).catch(problem);
}

// Keeps, for each picture shown, the brightness of the clock's squares and when it was shown.
function watchGlass({ columns, rows, square }) {
  const video = document.getElementById('video');
  const canvas = document.createElement('canvas');
  canvas.width = columns * 4;
  canvas.height = rows * 4;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  window.glass = [];
  const shown = () => {
    const at = Date.now();
    context.drawImage(video, 0, 0, columns * square, rows * square, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const squares = [];
    for (let y = 0; y < rows; y += 1) {
      for (let x = 0; x < columns; x += 1) squares.push(data[((y * 4 + 2) * canvas.width + x * 4 + 2) * 4 + 1]);
    }
    window.glass.push({ at, squares });
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback(shown);
}

const look = () => page.evaluate(() => {
  const video = document.querySelector('video');
  if (!video) return { fatal: [], glass: [] };
  const quality = video.getVideoPlaybackQuality();
  let luma = 0;
  let contrast = 0;
  if (video.videoWidth > 0 && video.readyState >= 2) {
    const canvas = document.createElement('canvas');
    canvas.width = 64;
    canvas.height = 36;
    const context2d = canvas.getContext('2d', { willReadFrequently: true });
    context2d.drawImage(video, 0, 0, 64, 36);
    const { data } = context2d.getImageData(0, 0, 64, 36);
    const values = [];
    for (let i = 0; i < data.length; i += 4) values.push((data[i] + data[i + 1] + data[i + 2]) / 3);
    luma = values.reduce((a, b) => a + b, 0) / values.length;
    contrast = Math.sqrt(values.reduce((a, b) => a + (b - luma) ** 2, 0) / values.length);
  }
  const hls = window.hls;
  const playing = hls?.playingDate;
  return {
    currentTime: video.currentTime,
    latency: hls && Number.isFinite(hls.latency) && hls.latency > 0 ? hls.latency : null,
    behind: playing ? (Date.now() - playing.getTime()) / 1000 : null,
    frames: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    luma,
    contrast,
    audioBytes: video.webkitAudioDecodedByteCount ?? 0,
    fatal: window.fatal ?? [],
    glass: window.glass?.splice(0) ?? [],
  };
});

const started = Date.now();
while (!closing) {
  try {
    const sample = await look();
    sample.glass = sample.glass.flatMap(({ at, squares }) => {
      const made = read(squares, at);
      return made === null ? [] : [(at - made) / 1000];
    });
    console.log(JSON.stringify({ t: (Date.now() - started) / 1000, loads, ...sample }));
  } catch (e) {
    if (!closing) console.error(`look: ${e.message}`);
  }
  await new Promise((r) => setTimeout(r, 250));
}
