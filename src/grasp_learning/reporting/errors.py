"""What can keep a report from being written."""


class ReportError(Exception):
    """There is nothing to report, or it cannot be written; the message names place, reason and remedy."""
