#!/usr/bin/env python3
"""Writes tests/data/metric/perceptual.json: what the lpips and pytorch-fid packages make of networks with
random weights, and pytorch-fid's distance of two small sets of features.

    python3 tools/make_perceptual_golden.py        (needs torch, torchvision, lpips, pytorch-fid, numpy,
                                                   scipy)

Weights and images are not stored: both sides draw them from the addressed random numbers
(include/dwgf/base/random.hpp), one stream a tensor, `image` its name's FNV-1a, see `weight` and `image_pair`
here and in tests/metric/perceptual_test.cpp. A torchvision that was built for another torch will do: its
compiled operators are not needed.
"""
import json
import pathlib
import sys
import types

import numpy as np
import torch

absent_operators = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    absent_operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import lpips  # noqa: E402
import torchvision  # noqa: E402
from pytorch_fid import fid_score, inception  # noqa: E402

from convert_metric_weights import inception_tensors, lpips_tensors  # noqa: E402

sys.modules.setdefault("diffusers", types.ModuleType("diffusers"))
from flow_reference import ROOT, normals  # noqa: E402


def fnv1a(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def drawn(name, shape):
    count = int(np.prod(shape))
    return normals(1, fnv1a(name), 0, 0, "init", count).astype(np.float64).reshape(shape)


def weight(name, shape):
    """float32, by the kind of tensor: convolutions keep the size of what passes; heads are not negative;
    variances are positive."""
    shape = tuple(shape)
    n = drawn(name, shape)
    if name.startswith("lin"):
        n = np.abs(n) / shape[1]
    elif len(shape) == 4:
        n = n * np.sqrt(2.0 / np.prod(shape[1:]))
    elif name.endswith("bn.weight"):
        n = 1.0 + 0.1 * n
    elif name.endswith("running_var"):
        n = 1.0 + 0.1 * np.abs(n)
    else:
        n = 0.1 * n
    return torch.from_numpy(n.astype(np.float32))


def image_pair(name, shape):
    """Two images of multiples of 1/256, partly outside [-1, 1]: clipping is part of the definition."""
    truth = np.round(128 * np.tanh(drawn(name, shape))) / 256 * 1.5
    x = truth + np.round(64 * drawn(name + " noise", shape)) / 256
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(truth.astype(np.float32))


SHAPES = [(3, 64, 64), (3, 33, 47), (1, 32, 32)]


def lpips_case(net, backbone):
    metric = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, pretrained=False, verbose=False)
    state = lpips_tensors(backbone.state_dict(),
                          {f"lin{k}.model.1.weight": torch.empty(1, c, 1, 1) for k,
                           c in enumerate(metric.chns)})
    state = {name: weight(name, value.shape) for name, value in state.items()}
    own = metric.net.state_dict()
    for name in own:  # slice2.3.weight is features.3.weight
        own[name] = state["features." + name.split(".", 1)[1]]
    metric.net.load_state_dict(own)
    for k in range(5):
        metric.lins[k].model[-1].weight.data.copy_(state[f"lin{k}.weight"])
    metric.eval()
    values = []
    with torch.no_grad():
        for shape in SHAPES:
            x, truth = (image.clamp(-1, 1).expand(3, -1, -1)[None]
                        for image in image_pair(f"{net} {shape[1]}", shape))
            values.append(metric(x, truth).item())
    return {"values": values, "names": {name: list(value.shape) for name, value in state.items()}}


def inception_case():
    inception.load_state_dict_from_url = lambda *arguments, **keywords: None
    load = torchvision.models.Inception3.load_state_dict
    torchvision.models.Inception3.load_state_dict = lambda self, state, *more: load(
        self, {name: weight(name, value.shape) if value.is_floating_point() else value for name,
               value in self.state_dict().items()})
    network = inception.InceptionV3([3]).eval()
    torchvision.models.Inception3.load_state_dict = load
    names = {name: list(value.shape) for name, value in inception_tensors(_published(inception)).items()}
    rows = []
    with torch.no_grad():
        for shape in SHAPES:
            x, _ = image_pair(f"inception {shape[1]}", shape)
            levels = torch.round((x.clamp(-1, 1) + 1) * 127.5)
            rows.append(network(levels.expand(3, -1, -1)[None] / 255)[0].flatten())
    features = torch.stack(rows).double()
    return {"first": features[:, :24].tolist(), "mean": features.mean(1).tolist(),
            "norm": features.norm(dim=1).tolist(), "names": names}


def _published(module):
    """The names and shapes of the published file."""
    whole = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, weights=None,
                                            init_weights=False)
    whole.Mixed_5b, whole.Mixed_5c, whole.Mixed_5d = module.FIDInceptionA(192, 32), module.FIDInceptionA(256,
        64), module.FIDInceptionA(288, 64)
    return whole.state_dict()


def distance_case():
    one = np.round(drawn("features one", (40, 6)) * 2**10) / 2**10 + 1
    other = np.round((drawn("features other", (30, 6)) @ np.diag(np.arange(1, 7)) / 4 + 0.5) * 2**10) / 2**10
    few = one[:4]  # of less images than features: a singular covariance
    moments = [(rows.mean(0), np.cov(rows, rowvar=False)) for rows in (one, other, few)]
    return {"one": one.tolist(), "other": other.tolist(), "few": few.tolist(),
            "one_other": float(fid_score.calculate_frechet_distance(*moments[0], *moments[1])),
            "few_other": float(fid_score.calculate_frechet_distance(*moments[2], *moments[1]))}


def main():
    torch.set_num_threads(1)
    golden = {"alex": lpips_case("alex", torchvision.models.alexnet(weights=None)),
              "vgg": lpips_case("vgg", torchvision.models.vgg16(weights=None, init_weights=False)),
              "inception": inception_case(), "distance": distance_case()}
    path = ROOT / "tests/data/metric/perceptual.json"
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes", golden["alex"]["values"], golden["vgg"]["values"],
          golden["inception"]["mean"],
          golden["distance"]["one_other"], golden["distance"]["few_other"])


if __name__ == "__main__":
    main()
