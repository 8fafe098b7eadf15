"""Numbers as a reader of the report sees them, the same everywhere on the page."""

import datetime
from typing import Optional

from grasp_learning.experiments.results import Figure

SHARE = "share"  # unit of a part of 1, shown in percent
SECONDS = "seconds"
NOTHING = "not measured"


def number(value: Optional[float], unit: str = SHARE) -> str:
    """A value with its unit: a share in percent, a count without decimals."""
    if value is None:
        return NOTHING
    if unit == SHARE:
        return f"{share(value)} %"
    if unit == SECONDS:
        return duration(value)
    return f"{plain(value)} {unit}".rstrip()


def plain(value: float) -> str:
    """A number without its unit: whole ones with thousands apart, others with what is worth telling."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def share(value: Optional[float]) -> str:
    """A part of 1 in percent, without the sign; "?" where it is not known."""
    return "?" if value is None else f"{round(100 * value, 1) + 0.0:.1f}"  # no "-0.0"


def interval(figure: Figure) -> str:
    """The 95 % interval, "70.1 to 76.4 %"; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    if figure.unit == SHARE:
        return f"{share(figure.low)} to {share(figure.high)} %"
    return f"{plain(figure.low)} to {plain(figure.high)}"


def measured(figure: Figure) -> str:
    """A value with its interval in one phrase, "73.3 % (70.1 to 76.4 %)"."""
    between = interval(figure)
    return number(figure.value, figure.unit) + (f" ({between})" if between else "")


def duration(seconds: float) -> str:
    """Wall clock time, "1 h 05 min"."""
    whole = int(round(seconds))
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = divmod(int(round(seconds / 60)), 60)
    return f"{hours} h {minutes:02d} min"


def moment(text: str) -> str:
    """A time in ISO 8601 as "2026-03-04 05:06 UTC"; as it stands where it is none."""
    try:
        time = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    if time.tzinfo is not None:
        time = time.astimezone(datetime.timezone.utc)
    return time.strftime("%Y-%m-%d %H:%M UTC")


def listed(parts) -> str:
    """Words in a row: "a", "a and b", "a, b and c"."""
    words = [str(part) for part in parts]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
