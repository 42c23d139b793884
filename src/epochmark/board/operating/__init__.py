"""What who runs a board does from the shell: take results in and out, derive them again."""
