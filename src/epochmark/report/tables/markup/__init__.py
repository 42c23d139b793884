"""Sections of text as Markdown and HTML."""
