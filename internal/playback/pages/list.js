'use strict';
// The list of live streams, read from the API again and again.
(() => {
  const REFRESH_MS = 3000;
  const byId = (id) => document.getElementById(id);
  const rows = new Map(); // path → its row, so that a refresh moves nothing under the pointer

  const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

  function clock(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, '0');
    return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  }

  function row(path) {
    const item = document.createElement('li');
    const link = document.createElement('a');
    link.href = `/${path.split('/').map(encodeURIComponent).join('/')}/`;
    const name = document.createElement('strong');
    name.textContent = path;
    const facts = document.createElement('span');
    const warning = document.createElement('em');
    link.append(name, facts, warning);
    item.append(link);
    return { item, facts, warning };
  }

  function show(streams) {
    const list = byId('streams');
    const seen = new Set();
    for (const stream of streams) {
      const path = stream.path || `live/${stream.streamKey}`;
      seen.add(path);
      if (!rows.has(path)) {
        rows.set(path, row(path));
        list.append(rows.get(path).item);
      }
      const { facts, warning } = rows.get(path);
      const shown = [stream.resolution, stream.bitrate ? `${(stream.bitrate / 1e6).toFixed(1)} Mbit/s` : '',
        plural(stream.viewers || 0, 'viewer'), stream.duration ? clock(stream.duration) : ''];
      facts.textContent = shown.filter(Boolean).join(' · ');
      warning.textContent = (stream.warnings || []).length ? plural(stream.warnings.length, 'warning') : '';
      warning.hidden = !warning.textContent;
    }
    for (const [path, { item }] of rows) {
      if (!seen.has(path)) {
        item.remove();
        rows.delete(path);
      }
    }
    byId('empty').hidden = seen.size > 0;
    byId('state').textContent = `${seen.size} live`;
  }

  async function refresh() {
    const problem = byId('problem');
    try {
      const answer = await fetch('/api/v1/streams', { cache: 'no-store' });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      show((await answer.json()).streams || []);
      problem.hidden = true;
    } catch (error) {
      problem.textContent = `The list cannot be read: ${error.message}. Trying again.`;
      problem.hidden = false;
      byId('empty').hidden = true;
    }
    setTimeout(refresh, REFRESH_MS);
  }

  refresh();
})();
