"""Tables in torch: differentiable site outputs, and the energy with a backward pass by hand."""

from acepot.errors import MissingDependency

try:
    import torch  # noqa: F401 - every module of this package needs it
except ImportError as error:
    raise MissingDependency(
        f"the torch evaluator needs torch: pip install acepot[torch] ({error})"
    ) from error
