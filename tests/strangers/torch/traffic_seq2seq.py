import torch


class SharedMask:
    """locked dropout; call new_batch() before every batch"""

    def __init__(self, p, training):
        self.p, self.on = p, training and p > 0
        self.m = None

    def new_batch(self, x):
        keep = 1 - self.p
        self.m = (torch.rand(x.shape[0], 1, x.shape[2], dtype=x.dtype) < keep).to(x.dtype) / keep

    def __call__(self, x):
        return x * self.m if self.on else x


def unroll(seq, h, c, w, prefix):
    K, R, b = w[prefix + "kernel"], w[prefix + "recurrent_kernel"], w[prefix + "bias"]
    ys = []
    for t in range(seq.shape[1]):
        i, f, g, o = (seq[:, t] @ K + h @ R + b).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        ys.append(h)
    return torch.stack(ys, 1), h, c


def run(case):
    history, known_future = case.inputs["x"], case.inputs["z"]
    drop = SharedMask(case.rate("encoder.input"), case.training)
    drop.new_batch(history)
    h = c = history.new_zeros(history.shape[0], case.config["units"])
    _, he, ce = unroll(drop(history), h, c, case.weights, "encoder.")
    y, h, c = unroll(drop(known_future), he, ce, case.weights, "decoder.")
    return {"y": y, "h": h, "c": c, "encoder.h": he, "encoder.c": ce}
