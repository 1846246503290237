"""Files: structures with labels, and models."""
