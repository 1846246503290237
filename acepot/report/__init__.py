"""What models say about data, in tables, words and pictures."""
