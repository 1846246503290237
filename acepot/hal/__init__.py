"""Hyperactive learning: dynamics that seek what a model does not know, labelled and learned."""
