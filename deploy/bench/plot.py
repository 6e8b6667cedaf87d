#!/usr/bin/env python3
"""A bar chart as SVG from what compare.py wrote: deploy/bench/plot.py RESULTS.json 'cpu %' 'title' > docs/plots/x.svg

Several figures, separated by commas, become groups of bars; with --lines they become a line over the numbers that
their names end with (as those of `growth` do).
"""

import json
import re
import sys
from html import escape

COLOURS = {"RapidRTMP": "#d9480f", "nginx-rtmp": "#2b8a3e", "SRS": "#1864ab", "MediaMTX": "#862e9c"}
WIDTH, BAR, LEFT = 640, 22, 190
TEXT = 'font-family="sans-serif" font-size="13" fill="#495057"'


def svg(height, body):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>', *body, "</svg>"])


def text(x, y, words, extra=""):
    return f'<text x="{x}" y="{y}" {TEXT} {extra}>{escape(words)}</text>'


def bars(medians, figures, title):
    rows = [(s, f, medians[s][f]) for f in figures for s in medians if f in medians[s]]
    top = max(value for _, _, value in rows) or 1
    body, y = [text(8, 22, title, 'font-weight="bold"')], 40
    for server, figure, value in rows:
        width = max(1, (WIDTH - LEFT - 80) * value / top)
        label = server if len(figures) == 1 else f"{server}, {figure}"
        body += [
            text(LEFT - 8, y + 15, label, 'text-anchor="end"'),
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 4}" fill="{COLOURS.get(server, "#868e96")}"/>',
            text(LEFT + width + 6, y + 15, f"{value:.3g}"),
        ]
        y += BAR
    return svg(y + 10, body)


def lines(medians, figures, title):
    height, bottom = 300, 260
    series = {
        server: sorted((int(re.search(r"(\d+)$", f).group(1)), values[f]) for f in figures if f in values)
        for server, values in medians.items()
    }
    right = max(x for points in series.values() for x, _ in points)
    top = max(y for points in series.values() for _, y in points)
    place = lambda x, y: (60 + (WIDTH - 160) * x / right, bottom - (bottom - 50) * y / top)
    body = [text(8, 22, title, 'font-weight="bold"')]
    body.append(f'<path d="M60 40 V{bottom} H{WIDTH - 80}" stroke="#868e96" fill="none"/>')
    for server, points in series.items():
        colour = COLOURS.get(server, "#868e96")
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*p) for p in points))
        body.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        for x, y in points:
            px, py = place(x, y)
            body.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>')
            body.append(text(round(px - 8), bottom + 18, str(x)) + text(round(px + 6), round(py + 16), f"{y:.3g}"))
        body.append(text(WIDTH - 95, round(place(*points[-1])[1] - 8), server))
    return svg(height, body)


def main():
    file, figures, title, *flags = sys.argv[1:]
    medians = json.load(open(file))["medians"]
    draw = lines if "--lines" in flags else bars
    print(draw(medians, [f.strip() for f in figures.split(",")], title))


if __name__ == "__main__":
    main()
