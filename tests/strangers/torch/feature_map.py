import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.drop = nn.Dropout2d(p)

    def forward(self, nhwc):
        x = nhwc.permute(0, 3, 1, 2)
        x = self.drop(x)
        return x.permute(0, 2, 3, 1)


def run(case):
    head = case.keep(lambda: Head(case.config["rate"]))
    head.train(case.training)
    return {"y": head(case.inputs["x"])}
