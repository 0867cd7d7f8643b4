"""The discriminators. Both return one logit per image; the sigmoid of the papers' figures lives in the loss
(binary cross entropy with logits), where it is numerically safe."""

import torch
from torch import Tensor, nn


def kaiming_init(net: nn.Module) -> None:
    """He et al. 2015 for convolutions and fully connected layers, zero biases; batch norm starts as the identity."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def check_patch(x: Tensor, patch: int) -> None:
    if x.ndim != 4 or x.shape[1:] != (3, patch, patch):
        raise ValueError(
            f"this discriminator was built for (N, 3, {patch}, {patch}), got {tuple(x.shape)}: "
            "its fully connected layer fits one patch size only"
        )


class VGGStyleDiscriminator(nn.Module):
    """ESRGAN's discriminator: (N, 3, patch, patch) in [0, 1] → logits (N, 1).

    Five levels of a 3x3 and a 4x4 stride-2 convolution, batch norm on all but the first, then 100 and 1 units.
    patch: any multiple of 32; the paper's 128 gives 14,499,401 parameters (BasicSR 1.x: only the first convolution
    has a bias) or, with conv_bias, 14,502,281 (the code of 2018). Parameter names are BasicSR's.
    """

    def __init__(self, num_feat: int = 64, patch: int = 128, conv_bias: bool = False) -> None:
        super().__init__()
        if patch < 32 or patch % 32:
            raise ValueError(f"patch must be a multiple of 32, got {patch}")
        self.patch = patch
        width = 3
        for level in range(5):
            wider = num_feat * 2 ** min(level, 3)
            first = level == 0
            self.add_module(f"conv{level}_0", nn.Conv2d(width, wider, 3, 1, 1, bias=first or conv_bias))
            if not first:
                self.add_module(f"bn{level}_0", nn.BatchNorm2d(wider))
            self.add_module(f"act{level}_0", nn.LeakyReLU(0.2, inplace=True))
            self.add_module(f"conv{level}_1", nn.Conv2d(wider, wider, 4, 2, 1, bias=conv_bias))
            self.add_module(f"bn{level}_1", nn.BatchNorm2d(wider))
            self.add_module(f"act{level}_1", nn.LeakyReLU(0.2, inplace=True))
            width = wider
        self.flatten = nn.Flatten()
        self.linear1 = nn.Linear(width * (patch // 32) ** 2, 100)
        self.act = nn.LeakyReLU(0.2, inplace=True)
        self.linear2 = nn.Linear(100, 1)
        kaiming_init(self)

    def forward(self, x: Tensor) -> Tensor:
        check_patch(x, self.patch)
        for layer in self.children():
            x = layer(x)
        return x


class VSRDiscriminator(nn.Module):
    """VSRResFeatGAN's discriminator (Fig. 7): (N, 3, patch, patch) in [0, 1] → logits (N, 1).

    Three groups of convolution, batch norm and LeakyReLU, then one fully connected layer. The paper gives no widths
    and strides: 3x3, stride 2 and 64, 128, 256 channels are this project's choice.
    """

    def __init__(self, channels: tuple[int, ...] = (64, 128, 256), patch: int = 36) -> None:
        super().__init__()
        self.patch = patch
        layers: list[nn.Module] = []
        width, side = 3, patch
        for wider in channels:
            conv = nn.Conv2d(width, wider, 3, stride=2, padding=1, bias=False)  # batch norm has the bias
            layers += [conv, nn.BatchNorm2d(wider), nn.LeakyReLU(0.2, inplace=True)]
            width, side = wider, (side + 1) // 2
        self.groups = nn.Sequential(*layers)
        self.linear = nn.Linear(width * side**2, 1)
        kaiming_init(self)

    def forward(self, x: Tensor) -> Tensor:
        check_patch(x, self.patch)
        return self.linear(torch.flatten(self.groups(x), 1))
