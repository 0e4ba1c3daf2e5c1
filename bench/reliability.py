"""The reliability plot: of the answers that were given with about this confidence, how many were right.

Takes confidences with whether the answer was right; gives an SVG picture of each pool's points (Guo et al., ICML 2017).
"""

from training.fitting import groups

Answered = list[tuple[float, bool]]  # confidence, and whether the answer was right
SIDE, MARGIN = 320, 48  # of the plot, pixels
COLOURS = ("#1f5fbf", "#c2571a")
LARGEST = 9.0  # a point's radius


def told(answered: Answered) -> str:
    """The same in words, by fifths."""
    return ", ".join(f"said {said:.2f} right {right:.2f} of {number}" for said, right, number in groups(answered, 5))


def plot(pools: dict[str, Answered], bins: int = 10) -> str:
    """An SVG picture: a point for each bin, its area the number of answers; on the diagonal the confidence is what it says."""
    size = SIDE + 2 * MARGIN

    def at(x: float, y: float) -> tuple[float, float]:
        return MARGIN + SIDE * x, MARGIN + SIDE * (1 - y)

    (left, low), (right, high) = at(0, 0), at(1, 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{size}" height="{size}" fill="#fff"/>',
        f'<path d="M{left} {low}L{right} {high}" stroke="#999" stroke-dasharray="4"/>',
        f'<path d="M{left} {high}V{low}H{right}" fill="none" stroke="#333"/>',
        f'<text x="{size / 2}" y="{size - 10}" text-anchor="middle">confidence said</text>',
        f'<text x="{-size / 2}" y="14" text-anchor="middle" transform="rotate(-90)">share of answers that are right</text>',
    ]
    for tenth in range(0, 11, 2):
        (x, _), (_, y) = at(tenth / 10, 0), at(0, tenth / 10)
        parts.append(f'<text x="{x:.1f}" y="{low + 16}" text-anchor="middle">{tenth / 10}</text>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10}</text>')
    for number, (name, answered) in enumerate(pools.items()):
        colour, found = COLOURS[number % len(COLOURS)], groups(answered, bins)
        largest = max((group.number for group in found), default=1)
        for group in found:
            x, y = at(group.said, group.right)
            radius = max(1.5, LARGEST * (group.number / largest) ** 0.5)
            title = f"<title>said {group.said:.2f}, right {group.right:.2f} of {group.number}</title>"
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.6">{title}</circle>')
        parts.append(f'<text x="{left + 10}" y="{high + 14 + 16 * number}" fill="{colour}">● {name}, {len(answered)} answers</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
