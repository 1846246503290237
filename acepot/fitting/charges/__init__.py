"""Fits of models with charges."""
