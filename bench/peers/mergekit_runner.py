"""Runs mergekit on a list of recipes: reads JSON lines {recipe, out, seed, mode, override} from a file and reports one JSON line for each.

With PLAIN=1 it is mergekit as installed. Otherwise random masks come from the same counter-based generator as Espalier's (Philox 4x32-10,
keyed by seed, method, tensor and model), so that DARE and DELLA can be compared element by element, and equal magnitudes are taken in order
of their index, where torch's sorts are unstable. Modes beyond that: `exact` sums over more than four elements, norms, products and
transcendental functions are computed in float64 and rounded once, because torch's order of summation depends on the processor and its
threads; `reference` leaves no float32 in a merge of float64.
"""

import contextlib
import json
import math
import os
import resource
import struct
import sys
import time
import traceback

import numpy as np
import torch
import yaml

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import mergekit.merge_methods.generalized_task_arithmetic as gta
import mergekit.merge_methods.sce as sce_module
import mergekit.sparsify as sparsify_module
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.merge import MergeOptions, run_merge
from mergekit.merge_methods.task_adapter import ExecuteMergeMethodTask
from torch.utils._python_dispatch import TorchDispatchMode

M32 = 0xFFFFFFFF


def philox(counter, key):
    c = [np.asarray(x, dtype=np.uint64) for x in counter]
    k0, k1 = key
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c[0]
        p1 = np.uint64(0xCD9E8D57) * c[2]
        c = [
            ((p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0)) & np.uint64(M32),
            p1 & np.uint64(M32),
            ((p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1)) & np.uint64(M32),
            p0 & np.uint64(M32),
        ]
        k0 = (k0 + 0x9E3779B9) & M32
        k1 = (k1 + 0xBB67AE85) & M32
    return c


def key_words(parts):
    state = [0x65737061, 0x6C696572, len(parts), 0]

    def absorb(k0, k1):
        block = philox(state, (k0, k1))
        for i in range(4):
            state[i] ^= int(block[i])

    for part in parts:
        if isinstance(part, (int, float)):
            high, low = struct.unpack(">II", struct.pack(">d", part))
            absorb(0, 1)
            absorb(high, low)
            continue
        data = part.encode()
        absorb(len(data), 2)
        data += b"\0" * (-len(data) % 8)
        for i in range(0, len(data), 8):
            absorb(*struct.unpack("<II", data[i : i + 8]))
    return state


def uniform_words(key, count):
    k0, k1, c2, c3 = key_words(key)
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    words = philox((blocks & np.uint64(M32), blocks >> np.uint64(32), c2, c3), (k0, k1))
    return np.stack([np.broadcast_to(w, blocks.shape) for w in words], axis=1).reshape(-1)[:count]


current = {"seed": 0, "tensor": "", "models": [], "index": 0, "method": "", "wide": False}
execute = ExecuteMergeMethodTask.execute
sparsify = gta.sparsify


def model_key(model):
    return os.path.basename(str((model.lora or model.model).path))


def keyed_execute(self, *args, **kwargs):
    current["tensor"] = self.output_weight.name
    current["models"] = [model_key(m.model if hasattr(m.model, "lora") else m) for m in self.model_order if m != self.base_model]
    current["index"] = 0
    return execute(self, *args, **kwargs)


class Torch:
    """The module as sparsify.py and sce.py see it: keyed masks, equal magnitudes in order of their index, and, for the float64 reference, no float32."""

    bernoulli = staticmethod(lambda probabilities: keyed_bernoulli(probabilities))

    @staticmethod
    def argsort(x, **options):
        return torch.argsort(x, stable=True, **options)

    @staticmethod
    def sort(x, descending=False):
        """Ascending, with equal ones in descending order of their index: the larger side has the first of them."""
        return torch.return_types.sort((x, torch.argsort(x, stable=True, descending=True).flip(0)))

    @staticmethod
    def topk(x, k, largest):
        return None, torch.argsort(x.float(), stable=True, descending=largest)[:k]

    @property
    def float32(self):
        return torch.float64 if current["wide"] else torch.float32

    def __getattr__(self, name):
        return getattr(torch, name)


def keyed_sparsify(tensor, density, method, **kwargs):
    current["method"] = {"random": "dare", "della_magprune": "della"}.get(method.value, "")
    result = sparsify(tensor, density=density, method=method, **kwargs)
    current["index"] += 1
    return result


def keyed_bernoulli(probabilities):
    key = (current["seed"], current["method"], current["tensor"], current["models"][current["index"]])
    words = uniform_words(key, probabilities.numel()).astype(np.float64)
    mask = words < np.round(probabilities.double().numpy().reshape(-1) * 4294967296.0)
    return torch.from_numpy(mask).reshape(probabilities.shape).to(probabilities.dtype)


if os.environ.get("PLAIN") != "1":
    ExecuteMergeMethodTask.execute = keyed_execute
    gta.sparsify = keyed_sparsify
    sparsify_module.torch = Torch()
    sce_module.torch = Torch()

aten = torch.ops.aten
ALWAYS = {
    aten.linalg_vector_norm.default, aten.dot.default, aten.mm.default, aten.var.correction, aten._softmax.default,
    aten.sin.default, aten.cos.default, aten.acos.default, aten.log.default,
}  # fmt: skip
SUMS = {aten.sum.default, aten.sum.dim_IntList, aten.mean.default, aten.mean.dim}


class Exact(TorchDispatchMode):
    """Long sums and functions in float64, rounded once to the type that they are asked for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        first = args[0] if args and isinstance(args[0], torch.Tensor) else None
        if first is None or not first.is_floating_point() or first.dtype == torch.float64:
            return func(*args, **kwargs)
        if func in SUMS:
            dims = args[1] if len(args) > 1 and args[1] is not None else range(first.dim())
            count = math.prod(first.shape[d] for d in dims)
            if count <= 4:
                return func(*args, **kwargs)
            mean = "mean" in str(func)
            total = (aten.sum.dim_IntList if len(args) > 1 else aten.sum.default)(first.double(), *args[1:], **kwargs)
            return (total.float() / count if mean else total).to(first.dtype)
        if func in ALWAYS:
            wide = [a.double() if isinstance(a, torch.Tensor) else a for a in args]
            return func(*wide, **{k: v for k, v in kwargs.items() if k != "dtype"}).to(first.dtype)
        return func(*args, **kwargs)


def main():
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    for line in open(sys.argv[1]):
        case = json.loads(line)
        current["seed"] = case["seed"]
        mode = case.get("mode", "")
        current["wide"] = mode == "reference"
        start, cpu = time.time(), time.process_time()
        try:
            config = yaml.safe_load(open(case["recipe"]))
            config.update(case.get("override", {}))
            options = MergeOptions(
                quiet=True,
                write_model_card=False,
                copy_tokenizer=False,
                clone_tensors=True,
                random_seed=case["seed"],
                lora_merge_cache=case["out"] + ".lora",
                lora_merge_dtype="float64" if mode == "reference" else None,
            )
            LoaderCache.loaders.clear()
            with Exact() if mode == "exact" else contextlib.nullcontext():
                run_merge(MergeConfiguration.model_validate(config), case["out"], options)
            rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(json.dumps({"out": case["out"], "seconds": time.time() - start, "cpu": time.process_time() - cpu, "rss": rss}), flush=True)
        except Exception as error:
            print(json.dumps({"out": case["out"], "error": str(error)[:300], "trace": traceback.format_exc()[-600:]}), flush=True)


main()
