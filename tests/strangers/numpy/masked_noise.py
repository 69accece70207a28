def run(case):
    x = case.inputs["x"]
    if not case.training or case.config["rate"] == 0:
        return {"y": x}
    corrupted = ~case.rng.bernoulli(1 - case.config["rate"], x.shape)
    eps = case.rng.standard_normal(x.shape).astype(x.dtype)
    return {"y": x + corrupted * (x.dtype.type(case.config["stddev"]) * eps)}
