"""The comparison as an SVG: a bar for each tool, as long as the CPU that it takes times cxlake's, on a scale of powers."""

import math
from html import escape

WIDTH, ROW, NAMES, VALUES = 720, 30, 170, 60
STYLE = ("text{font:13px system-ui,sans-serif;fill:#1f2937}rect{fill:#94a3b8}.own{fill:#2563eb}"
         "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}rect{fill:#64748b}.own{fill:#60a5fa}}")


def svg(ratios, caption):
    """`ratios` has each tool's median by name; a bar of cxlake's own is one unit long."""
    most = max(ratios.values())
    length = lambda ratio: (WIDTH - NAMES - VALUES) * (0.08 + 0.92 * math.log(ratio) / math.log(max(most, 2)) if ratio > 1 else 0.08 * ratio)
    rows = []
    for number, (name, ratio) in enumerate(sorted(ratios.items(), key=lambda item: item[1])):
        y = 30 + number * ROW
        own = ' class="own"' if name == "cxlake" else ""
        rows.append(
            f'<text x="{NAMES - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect{own} x="{NAMES}" y="{y}" width="{length(ratio):.0f}" height="22" rx="3"/>'
            f'<text x="{NAMES + length(ratio) + 6:.0f}" y="{y + 16}">{ratio:.1f}</text>')
    height = 40 + len(ratios) * ROW
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"><style>{STYLE}</style>'
            f'<text x="0" y="16">{escape(caption)}</text>{"".join(rows)}</svg>\n')
