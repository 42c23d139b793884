"""Where a board keeps its results: tables, migrations, and every question asked of them."""
