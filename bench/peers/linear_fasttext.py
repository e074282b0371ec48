"""Peer of bench/ngram.ts: fastText, supervised, at its usual settings for small sets: word bigrams, 25 epochs, 100 dimensions, 2 threads.

Usage: linear_fasttext.py TRAIN.jsonl.gz TEST.jsonl.gz MODEL.bin [--multi-label] [--lr 0.5]
Text in, model saved, test predicted; prints one JSON line with accuracy and seconds. Several labels per row are trained one versus all.
"""

import argparse
import gzip
import json
import os
import re
import resource
import tempfile
import time

started = time.perf_counter()

import fasttext


def read(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words(text):
    """Lower case, punctuation apart: the preparation that fastText's documentation recommends."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("model")
    parser.add_argument("--multi-label", action="store_true")
    parser.add_argument("--lr", type=float, default=0.5)
    options = parser.parse_args()

    rows = read(options.train)
    labels_of = nodes if options.multi_label else lambda row: ["\t".join(row["labels"][0])]
    names = sorted({label for row in rows for label in labels_of(row)})
    number = {name: i for i, name in enumerate(names)}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for row in rows:
            labels = " ".join(f"__label__{number[label]}" for label in labels_of(row))
            file.write(f"{labels} {words(row['text'])}\n")
        file.flush()
        model = fasttext.train_supervised(
            file.name,
            wordNgrams=2,
            epoch=25,
            lr=options.lr,
            dim=100,
            thread=2,
            loss="ova" if options.multi_label else "softmax",
            verbose=0,
        )
    model.save_model(options.model)
    trained = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)

    tests = read(options.test)
    texts = [words(row["text"]) for row in tests]
    before = time.perf_counter()
    if options.multi_label:
        answers, _ = model.predict(texts, k=-1, threshold=0.5)
    else:
        answers, _ = model.predict(texts)
    after = time.perf_counter()
    predicted = [[names[int(label[len("__label__") :])] for label in row] for row in answers]
    if options.multi_label:
        gold = [labels_of(row) for row in tests]
        right = sum(len(set(a) & set(b)) for a, b in zip(predicted, gold))
        scores = {"microF1": 2 * right / (sum(map(len, predicted)) + sum(map(len, gold)))}
    else:
        paths = [row[0].split("\t") if row else [""] for row in predicted]
        gold = [row["labels"][0] for row in tests]
        scores = {
            "leaf": sum(a == b for a, b in zip(paths, gold)) / len(gold),
            "level1": sum(a[0] == b[0] for a, b in zip(paths, gold)) / len(gold),
        }
    print(
        json.dumps(
            {
                **scores,
                "wallSeconds": trained - started,
                "cpuSeconds": usage.ru_utime + usage.ru_stime,
                "peakRssBytes": usage.ru_maxrss * 1024,
                "predictPerSecond": len(tests) / (after - before),
                "modelBytes": os.path.getsize(options.model),
            }
        )
    )


def nodes(row):
    """The names of all nodes on the row's paths: a name may stand under several parents, so a node is named by its whole path."""
    return sorted({"\t".join(path[: depth + 1]) for path in row["labels"] for depth in range(len(path))})


main()
