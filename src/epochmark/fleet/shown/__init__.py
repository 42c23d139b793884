"""A fleet shown: in words and tables, as a document, on a page."""
