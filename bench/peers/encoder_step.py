"""PyTorch side of bench/encoder-step.ts: answers requests on stdin with one JSON line each.

A request with the shape of a model makes it; {"run": "train" | "logits" | "hidden"} does one piece of work and answers its CPU and wall milliseconds.
"""

import json
import sys
import time

import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification

state = {}


def make(r):
    torch.manual_seed(0)
    torch.set_num_threads(r["threads"])
    config = BertConfig(
        vocab_size=r["vocabulary"],
        hidden_size=r["hidden"],
        num_hidden_layers=r["layers"],
        num_attention_heads=r["heads"],
        intermediate_size=4 * r["hidden"],
        hidden_dropout_prob=r["dropout"],
        attention_probs_dropout_prob=r["dropout"],
        num_labels=r["units"],
    )
    model = BertForSequenceClassification(config)
    state["model"] = model
    state["optimizer"] = torch.optim.AdamW(model.parameters(), lr=r["learningRate"], weight_decay=0.01, fused=True)
    state["ids"] = torch.randint(1, r["vocabulary"], (r["batch"], r["length"]))
    state["mask"] = torch.ones_like(state["ids"])
    state["labels"] = torch.randint(0, r["units"], (r["batch"],))
    state["clip"] = r["clip"]


def train():
    model, optimizer = state["model"].train(), state["optimizer"]
    optimizer.zero_grad()
    model(input_ids=state["ids"], attention_mask=state["mask"], labels=state["labels"]).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), state["clip"])
    optimizer.step()


def logits():
    model = state["model"].eval()
    with torch.inference_mode():
        model(input_ids=state["ids"], attention_mask=state["mask"])


def hidden():
    encoder = state["model"].bert.eval()
    with torch.inference_mode():
        encoder(input_ids=state["ids"], attention_mask=state["mask"])


for line in sys.stdin:
    request = json.loads(line)
    if "run" not in request:
        make(request)
        answer = {"torch": torch.__version__, "transformers": transformers.__version__}
    else:
        cpu, wall = time.process_time(), time.perf_counter()
        {"train": train, "logits": logits, "hidden": hidden}[request["run"]]()
        answer = {"cpu": 1e3 * (time.process_time() - cpu), "wall": 1e3 * (time.perf_counter() - wall)}
    print(json.dumps(answer), flush=True)
