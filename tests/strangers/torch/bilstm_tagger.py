# 双向LSTM序列标注（自己写的循环）
import torch
import torch.nn.functional as F


def lstm_cell(x, h, c, W, U, b):
    """单步LSTM"""
    z = F.linear(x, W.t()) + F.linear(h, U.t()) + b
    i, f, g, o = z.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def run_direction(x, W, U, b):
    n = x.shape[0]
    h = torch.zeros(n, U.shape[0], dtype=x.dtype)
    c = torch.zeros(n, U.shape[0], dtype=x.dtype)
    outs = []
    for t in range(x.shape[1]):
        h, c = lstm_cell(x[:, t], h, c, W, U, b)
        outs.append(h)
    return torch.stack(outs, dim=1), h, c


def bilstm(x, weights, p, training):
    # 正向
    y_f, h_f, c_f = run_direction(x, weights["forward.kernel"], weights["forward.recurrent_kernel"], weights["forward.bias"])
    # 反向：先把序列翻转
    x_r = torch.flip(x, dims=[1])
    y_b, h_b, c_b = run_direction(x_r, weights["backward.kernel"], weights["backward.recurrent_kernel"], weights["backward.bias"])
    # 拼接两个方向的输出
    y = torch.cat([y_f, y_b], dim=-1)
    y = F.dropout(y, p=p, training=training)
    return y, torch.stack([h_f, h_b]), torch.stack([c_f, c_b])


def run(case):
    y, h, c = bilstm(case.inputs["x"], case.weights, case.rate("output"), case.training)
    return {"y": y, "h": h, "c": c}
