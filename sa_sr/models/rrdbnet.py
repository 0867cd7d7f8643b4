"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, section 3.1), x4, RGB.

Parameters carry BasicSR's names (version 1.0 and later), so that other tools load the weights as they are.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    """3x3 convolution that keeps the size."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each fed with all the features before it."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.conv1 = conv(num_feat, num_grow_ch)
        self.conv2 = conv(num_feat + num_grow_ch, num_grow_ch)
        self.conv3 = conv(num_feat + 2 * num_grow_ch, num_grow_ch)
        self.conv4 = conv(num_feat + 3 * num_grow_ch, num_grow_ch)
        self.conv5 = conv(num_feat + 4 * num_grow_ch, num_feat)
        for key, parameter in self.named_parameters():
            if key.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_normal_(parameter)
                parameter.data *= 0.1  # small residuals keep a deep network stable (ESRGAN, section 3.1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = lrelu(self.conv1(x))
        x2 = lrelu(self.conv2(torch.cat((x, x1), 1)))
        x3 = lrelu(self.conv3(torch.cat((x, x1, x2), 1)))
        x4 = lrelu(self.conv4(torch.cat((x, x1, x2, x3), 1)))
        return x + 0.2 * self.conv5(torch.cat((x, x1, x2, x3, x4), 1))


class RRDB(nn.Module):
    """Residual in residual: three dense blocks within one more skip connection."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb2 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb3 = ResidualDenseBlock(num_feat, num_grow_ch)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """(N, 3, h, w) RGB in [0, 1] → (N, 3, 4h, 4w), about [0, 1] and not clamped.

    By default it has 16,697,987 parameters.

    num_feat: width; num_block: number of RRDBs; num_grow_ch: channels that each dense convolution adds.
    """

    def __init__(self, num_feat: int = 64, num_block: int = 23, num_grow_ch: int = 32) -> None:
        super().__init__()
        self.conv_first = conv(3, num_feat)
        self.body = nn.Sequential(*(RRDB(num_feat, num_grow_ch) for _ in range(num_block)))
        self.conv_body = conv(num_feat, num_feat)
        self.conv_up1 = conv(num_feat, num_feat)
        self.conv_up2 = conv(num_feat, num_feat)
        self.conv_hr = conv(num_feat, num_feat)
        self.conv_last = conv(num_feat, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        x = lrelu(self.conv_up1(F.interpolate(x, scale_factor=2)))
        x = lrelu(self.conv_up2(F.interpolate(x, scale_factor=2)))
        return self.conv_last(lrelu(self.conv_hr(x)))
