"""The native evaluator as operators of torch, for TorchScript, TorchForce and metatomic.

Names are fetched when they are used, so that importing this package does not load torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch_ace.compilation import build, load_operator
    from torch_ace.native import NativeModule, NativeStructureModule

__all__ = ["NativeModule", "NativeStructureModule", "build", "load_operator"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'torch_ace' has no attribute {name!r}")
    if name in ("build", "load_operator"):
        from torch_ace import compilation

        return getattr(compilation, name)
    from torch_ace import native

    return getattr(native, name)
