"""Two kinds of chart as SVG: bars with their spread, and lines. Nothing but strings; used by report.py.

Colours tell servers apart and are chosen to differ in brightness as well; text is in the colour of the page.
"""

import html
import math

COLOURS = {
    "larder": "#c2410c",
    "redis": "#1d4ed8",
    "redis-memory": "#7aa2f7",
    "valkey": "#15803d",
    "valkey-memory": "#86c99a",
    "memcached": "#6b7280",
}
OTHER = "#a21caf"
WIDTH = 860
LEFT = 270
BAR, GAP = 13, 12


def colour(name):
    return COLOURS.get(name, OTHER)


def _document(height, parts):
    style = "font-family:system-ui,sans-serif;font-size:12px;background:#fff"
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">', *parts, "</svg>\n"])


def _text(x, y, text, anchor="start", weight="normal", fill="#111"):
    how = f'text-anchor="{anchor}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {how}>{html.escape(text)}</text>'


def _line(x1, y1, x2, y2, stroke="#ddd", width=1.0):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" stroke-width="{width}"/>'


def _legend(names, y):
    parts, x = [], LEFT
    for name in names:
        parts.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour(name)}"/>')
        parts.append(_text(x + 14, y, name))
        x += 26 + 7 * len(name)
    return parts


def ticks(highest, count=5):
    """Round numbers from 0 to the highest or a little beyond it."""
    if highest <= 0:
        return [0, 1]
    rough = highest / count
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * (1 - 1e-9))
    return [step * number for number in range(math.ceil(highest / step * (1 - 1e-9)) + 1)]


def number(value):
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def bars(title, unit, groups):
    """Horizontal bars. `groups` are pairs of a label and a list of (series, median, lowest, highest)."""
    highest = max((high for _, series in groups for *_, high in series), default=1)
    marks = ticks(highest)
    scale = (WIDTH - LEFT - 70) / marks[-1]
    names = list(dict.fromkeys(name for _, series in groups for name, *_ in series))
    bottom = 62 + sum(len(series) * BAR + GAP for _, series in groups)
    parts = [_text(10, 20, f"{title}, {unit}", weight="bold"), *_legend(names, 40)]
    for mark in marks:
        x = LEFT + mark * scale
        parts += [_line(x, 50, x, bottom - GAP / 2), _text(x, bottom + 10, number(mark), "middle")]
    y = 56
    for label, series in groups:
        parts.append(_text(LEFT - 8, y + len(series) * BAR / 2 + 4, label, "end"))
        for name, middle, low, high in series:
            size = f'width="{max(0.5, middle * scale):.1f}" height="{BAR - 2}"'
            parts.append(f'<rect x="{LEFT}" y="{y}" {size} fill="{colour(name)}"/>')
            if high > low:
                at = y + BAR / 2 - 1
                parts.append(_line(LEFT + low * scale, at, LEFT + high * scale, at, "#111", 1.5))
            parts.append(_text(LEFT + high * scale + 5, y + BAR - 3, number(middle), fill="#444"))
            y += BAR
        y += GAP
    return _document(bottom + 22, parts)


def lines(title, unit, across, series, logarithmic=False):
    """Lines over numbers. `series` maps a name to pairs; `across` names the horizontal axis."""
    points = [point for found in series.values() for point in found]
    top, bottom, left, right = 56, 300, 80, WIDTH - 50
    marks = ticks(max((y for _, y in points), default=1))
    place = math.log10 if logarithmic else float
    lowest = min(place(x) for x, _ in points)
    span = max(place(x) for x, _ in points) - lowest or 1

    def at_x(x):
        return left + (place(x) - lowest) / span * (right - left)

    def at_y(y):
        return bottom - y / marks[-1] * (bottom - top)

    parts = [_text(10, 20, f"{title}, {unit}", weight="bold"), *_legend(series, 40)]
    for mark in marks:
        parts += [_line(left, at_y(mark), right, at_y(mark)), _text(left - 8, at_y(mark) + 4, number(mark), "end")]
    values = sorted({x for x, _ in points})
    if len(values) > 8:
        values = [value for value in ticks(values[-1], 8) if values[0] <= value <= values[-1]]
    for x in values:
        parts.append(_text(at_x(x), bottom + 18, number(x), "middle"))
    parts.append(_text((left + right) / 2, bottom + 36, across, "middle"))
    for name, found in series.items():
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in found)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour(name)}" stroke-width="2"/>')
        if len(found) <= 12:
            parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour(name)}"/>' for x, y in found]
    return _document(bottom + 50, parts)
