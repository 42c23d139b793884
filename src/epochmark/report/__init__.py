"""Records to something to show: tables, sentences, charts, a page."""
