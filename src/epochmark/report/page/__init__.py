"""The report: one self-contained HTML file that needs no network and works without scripts."""

from __future__ import annotations

from epochmark.report.page._document import report_page
from epochmark.report.page.frame import content_security_policy

__all__ = ["content_security_policy", "report_page"]
