"""Records to text: every module here is a function from records to something to show."""
