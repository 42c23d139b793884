"""What is known of a result besides its document: from where it came, and the words on it."""
