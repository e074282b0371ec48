"""Fine-tunes a BERT-family encoder with PyTorch and transformers, on the leaves of a label tree: the peer of bench/fine-tune.ts.
Same recipe as ours: BertForSequenceClassification (pooler, dropout, linear layer); AdamW without decay on vectors (PyTorch's fused one);
linear schedule with warm-up; clipping; batches of like length, padded to their longest row. Prints one JSON line. Usage: fine_tune.py '{"model": ..., "train": ..., ...}'"""
import gzip
import json
import math
import sys
import time

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoModelForSequenceClassification

job = json.loads(sys.argv[1])
torch.manual_seed(job["seed"])
torch.set_num_threads(job["threads"])


def rows_of(file):
    with gzip.open(file, "rt", encoding="utf8") as lines:
        return [json.loads(line) for line in lines]


train = rows_of(job["train"])[:: job["every"]]
test = rows_of(job["test"])
labels = sorted({tuple(row["labels"][0]) for row in rows_of(job["train"])})
index = {label: i for i, label in enumerate(labels)}
tokenizer = Tokenizer.from_file(f"{job['model']}/tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(job["maxLength"])
tokens = {"train": [], "test": []}
for name, rows in (("train", train), ("test", test)):
    tokens[name] = [encoding.ids for encoding in tokenizer.encode_batch([row["text"] for row in rows])]
# a test label that the training rows lack is always wrong
targets = {name: [index.get(tuple(row["labels"][0]), -1) for row in rows] for name, rows in (("train", train), ("test", test))}


def padded(name, batch):
    longest = max(len(tokens[name][row]) for row in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros(len(batch), longest, dtype=torch.long)
    for i, row in enumerate(batch):
        ids[i, : len(tokens[name][row])] = torch.tensor(tokens[name][row])
        mask[i, : len(tokens[name][row])] = 1
    return ids, mask


def epoch_batches(generator):
    order = torch.randperm(len(train), generator=generator).tolist()
    size, window = job["batch"], 50 * job["batch"]
    batches = []
    for start in range(0, len(order), window):
        rows = sorted(order[start : start + window], key=lambda row: len(tokens["train"][row]))
        batches += [rows[at : at + size] for at in range(0, len(rows), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


model = AutoModelForSequenceClassification.from_pretrained(job["model"], dtype=torch.float32, num_labels=len(labels))
decayed = [p for p in model.parameters() if p.dim() > 1]
kept = [p for p in model.parameters() if p.dim() <= 1]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": job["weightDecay"]}, {"params": kept, "weight_decay": 0.0}], lr=job["lr"], fused=True
)
steps = job["epochs"] * math.ceil(len(train) / job["batch"])
warm = round(job["warmUp"] * steps)
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda done: (done + 1) / warm if done < warm else 1 - (done - warm) / (steps - warm)
)
generator = torch.Generator().manual_seed(job["seed"])
wall, cpu = time.perf_counter(), time.process_time()
model.train()
for epoch in range(job["epochs"]):
    for batch in epoch_batches(generator):
        ids, mask = padded("train", batch)
        loss = nn.functional.cross_entropy(model(input_ids=ids, attention_mask=mask).logits, torch.tensor([targets["train"][row] for row in batch]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), job["clip"])
        optimizer.step()
        schedule.step()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

model.eval()
hits = 0
order = sorted(range(len(test)), key=lambda row: len(tokens["test"][row]))
with torch.inference_mode():
    for at in range(0, len(order), 64):
        batch = order[at : at + 64]
        ids, mask = padded("test", batch)
        best = model(input_ids=ids, attention_mask=mask).logits.argmax(1).tolist()
        hits += sum(int(label == targets["test"][row]) for label, row in zip(best, batch))
print(json.dumps({"accuracy": hits / len(test), "wallSeconds": wall, "cpuSeconds": cpu, "steps": steps, "torch": torch.__version__}))
