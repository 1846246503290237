"""The oracle: every step as the papers write it, in numpy."""
