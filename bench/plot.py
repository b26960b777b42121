"""Bars as SVG, by hand: no library is needed to read or to write them."""
from xml.sax.saxutils import escape
import math

COLOURS = {"wire": "#9a9a9a", "herald": "#1f77b4", "herald, commit": "#12507b", "Kamailio": "#e08214",
           "Kamailio, write-through": "#9c5407", "budget": "#2ca02c"}
LEFT, WIDTH, BAR, GAP = 250, 900, 15, 14


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def text(x, y, string, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
            f"{escape(string)}</text>")


def bars(path, title, unit, groups, log=False):
    """groups: [(label, [(series, value, note)])]; values that are None are left out."""
    groups = [(label, [b for b in row if b[1] is not None]) for label, row in groups]
    groups = [(label, row) for label, row in groups if row]
    if not groups:
        return False
    values = [b[1] for _, row in groups for b in row]
    most, least = max(values), min(values)
    room = WIDTH - LEFT - 140
    floor = 10 ** math.floor(math.log10(least)) if log and least > 0 else 0

    def length(value):
        if not log:
            return room * value / most
        return max(1.0, room * math.log10(value / floor) / math.log10(most / floor)) if most > floor else room

    out, y = [], 52
    for label, row in groups:
        out.append(text(LEFT - 10, y + len(row) * BAR / 2 + 4, label, "end"))
        for series, value, note in row:
            colour = COLOURS.get(series, "#555555")
            out.append(f'<rect x="{LEFT}" y="{y}" width="{length(value):.1f}" height="{BAR - 2}" fill="{colour}"/>')
            out.append(text(LEFT + length(value) + 5, y + BAR - 4, f"{number(value)} {series}{note}", size=11))
            y += BAR
        y += GAP
    scale = f"{unit}{', logarithmic' if log else ''}"
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
                f'font-family="sans-serif">\n<rect width="{WIDTH}" height="{y}" fill="white"/>\n'
                + text(10, 22, title, size=15, weight="bold") + "\n" + text(10, 40, scale, size=11) + "\n"
                + "\n".join(out) + "\n</svg>\n")
    return True
