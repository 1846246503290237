"""Holes in the potential-energy surface: atoms that fall into each other."""
