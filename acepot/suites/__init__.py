"""Laws that every part of a kind obeys, as classes of tests: a subclass says what is tested.

A new solver or engine, here or in another package, is held to them by a class of a few lines that
pytest finds. They need pytest to run, and nothing of it to be imported.
"""
