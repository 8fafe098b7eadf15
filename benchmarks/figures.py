"""One line for each figure that a benchmark measures: name, value, unit, target, ok or short."""


def figure(name: str, value: float, target: float, unit: str, at_most: bool = True) -> bool:
    """Print a figure beside its target.

    Args:
        name: what was measured, one word.
        value: as measured, in `unit`.
        target: what the value must not exceed, or with `at_most=False` must reach.
        unit: of both; "-" where there is none.
        at_most: whether the target is an upper bound.

    Returns:
        Whether the target was met; a value that is not a number never meets it.
    """
    met = value <= target if at_most else value >= target
    bound = f"{'<=' if at_most else '>='} {target:.4g}"
    print(f"{name:<40} {value:>10.4g} {unit:<12} {bound:<12} {'ok' if met else 'short'}", flush=True)
    return bool(met)
