"""Import torchvision where a CPU build of torch meets a CUDA build of torchvision.

Package indexes often serve that pair. torchvision's compiled operators don't load then, and its import fails because it
describes operators that do not exist, though networks such as AlexNet need none of them.
"""

import sys
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_library: Any = None  # the schemas live as long as this object


def ensure_torchvision() -> None:
    """Import torchvision; only if that fails, declare the missing operators (without a body) and import it again.

    Call it before `import torchvision` or `import lpips`. Raises what the import raises when it is something else.
    """
    global _library
    try:
        import torchvision
    except RuntimeError as e:
        if "operator torchvision::" not in str(e) or _library is not None:
            raise
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]  # the half that was imported
        _library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            _library.define(schema)
        import torchvision  # noqa: F401
