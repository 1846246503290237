"""The `.acepot` model file: a container of plain data, and the kinds of models it holds."""

from acepot.io.modelfile.kinds import load, model_bytes, save

__all__ = ["load", "model_bytes", "save"]
