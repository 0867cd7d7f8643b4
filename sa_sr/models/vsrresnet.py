"""VSRResNet, the generator of VSRResFeatGAN (Lucas et al. 2019; Fig. 6 of the paper)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sa_sr.models.rrdbnet import conv

RGB = 3


class ResidualBlock(nn.Module):
    """conv-ReLU-conv-ReLU and a skip connection, as Fig. 6 draws it."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = conv(num_feat, num_feat)
        self.conv2 = conv(num_feat, num_feat)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.conv2(F.relu(self.conv1(x))))


class VSRResNet(nn.Module):
    """(N, T, 3, H, W) bicubic frames, RGB in [0, 1] → the centre frame (N, 3, H, W), about [0, 1] and not clamped.

    One convolution on every frame, two that fuse them, `num_block` residual blocks, one convolution to RGB.
    share_first: one set of weights for the first convolution of all frames (1,332,675 parameters), otherwise one set
    per frame (1,339,843).
    """

    def __init__(self, num_feat: int = 64, num_block: int = 15, num_frames: int = 5, share_first: bool = True) -> None:
        super().__init__()
        if num_frames % 2 == 0:
            raise ValueError(f"num_frames must be odd, to have a centre frame (got {num_frames})")
        self.num_feat, self.num_frames, self.share_first = num_feat, num_frames, share_first
        if share_first:
            self.conv_first = conv(RGB, num_feat)
        else:  # a group of channels per frame
            self.conv_first = nn.Conv2d(RGB * num_frames, num_feat * num_frames, 3, padding=1, groups=num_frames)
        self.conv_fuse1 = conv(num_feat * num_frames, num_feat)
        self.conv_fuse2 = conv(num_feat, num_feat)
        self.body = nn.Sequential(*(ResidualBlock(num_feat) for _ in range(num_block)))
        self.conv_last = conv(num_feat, RGB)

    def forward(self, frames: Tensor) -> Tensor:
        n, t, c, h, w = frames.shape
        if (t, c) != (self.num_frames, RGB):
            raise ValueError(f"expected (N, {self.num_frames}, {RGB}, H, W), got {tuple(frames.shape)}")
        x = frames.reshape(n * t, c, h, w) if self.share_first else frames.reshape(n, t * c, h, w)
        x = F.relu(self.conv_first(x)).reshape(n, t * self.num_feat, h, w)
        x = F.relu(self.conv_fuse2(F.relu(self.conv_fuse1(x))))
        return self.conv_last(self.body(x))

    @torch.no_grad()
    def identity_init(self) -> None:
        """Make the network return its centre frame (to 1e-3, for input in [0, 1]), so that training starts at bicubic.

        Three channels carry the frame's RGB through all layers by Dirac kernels; it is not negative, so the ReLUs
        pass it. The other channels start at random and reach the output through weights near zero. Their kernels sum to
        zero, so that they see detail and not brightness: otherwise the first steps would shift every gray level.
        A residual branch adds a constant to the carried channels, not zero where its ReLU would have no gradient; the
        last convolution takes the sum away.
        """
        if self.num_feat < RGB:
            raise ValueError(f"identity_init needs num_feat >= {RGB} to carry RGB (got {self.num_feat})")
        lift = 0.01
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
                layer.weight -= layer.weight.mean((2, 3), keepdim=True)
        for layer in self.modules():
            if isinstance(layer, ResidualBlock):
                layer.conv2.weight *= 0.1
                layer.conv2.weight[:RGB] = 0
                layer.conv2.bias[:RGB] = lift  # pyright: ignore[reportOptionalSubscript]
        self.conv_last.bias -= lift * len(self.body)  # pyright: ignore[reportOperatorIssue]

        def carry(layer: nn.Conv2d, source: int, target: int = 0) -> None:
            layer.weight[target : target + RGB] = 0
            layer.weight[target : target + RGB, source : source + RGB, 1, 1] = torch.eye(RGB)

        for frame in [0] if self.share_first else range(self.num_frames):
            carry(self.conv_first, 0, frame * self.num_feat)
        carry(self.conv_fuse1, self.num_frames // 2 * self.num_feat)
        carry(self.conv_fuse2, 0)
        carry(self.conv_last, 0)
        nn.init.normal_(self.conv_last.weight[:, RGB:], std=3e-5)
