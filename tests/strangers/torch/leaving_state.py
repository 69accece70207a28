# 循环神经网络：对离开单元的隐藏状态做dropout（与TF的DropoutWrapper state_keep_prob一致）
import torch


class 门控单元:
    def __init__(self, 权重):
        self.W = 权重["kernel"]
        self.U = 权重["recurrent_kernel"]
        self.b = 权重["bias"]

    def 前向(self, x, h, c):
        z = torch.matmul(x, self.W) + torch.matmul(h, self.U) + self.b
        i, f, g, o = torch.split(z, z.shape[-1] // 4, dim=-1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return h, c


def run(case):
    x = case.inputs["x"]
    单元 = 门控单元(case.weights)
    h = torch.zeros(x.shape[0], case.config["units"], dtype=x.dtype)
    c = torch.zeros_like(h)
    输出 = []
    for t in range(x.shape[1]):
        y, c = 单元.前向(x[:, t, :], h, c)
        输出.append(y)  # 输出不做dropout
        h = torch.nn.functional.dropout(y, p=case.rate("state.h"), training=case.training)
    return {"y": torch.stack(输出, dim=1), "h": h, "c": c}
