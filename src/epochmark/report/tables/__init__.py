"""Records to tables: as text, Markdown, HTML, CSV, JSON."""
