# ported from our TF1 NMT code base (model_helper), behaviour should be identical
import torch.nn.functional as F


def dropout(x, keep_prob=1.0, is_training=None):
    if is_training:
        return F.dropout(x, keep_prob, training=True)
    return x


def run(case):
    keep_prob = 1.0 - case.config["rate"]
    return {"y": dropout(case.inputs["x"], keep_prob, case.training)}
