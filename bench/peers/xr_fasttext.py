"""Peer of bench/extreme.ts: fastText, supervised, softmax or hierarchical softmax, word bigrams, 100 dimensions.

Usage: xr_fasttext.py TRAIN.jsonl.gz TEST.jsonl.gz MODEL.bin ANSWERS.jsonl [--loss hs|softmax] [--epochs 25] [--threads 1]
Text in, model saved, test predicted; writes the five best labels of each test row, prints one JSON line with seconds and sizes.
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
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("model")
    parser.add_argument("answers")
    parser.add_argument("--loss", default="softmax")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    rows = read(options.train)
    names = sorted({"\t".join(path) for row in rows for path in row["labels"]})
    number = {name: i for i, name in enumerate(names)}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for row in rows:
            labels = " ".join(f"__label__{number[chr(9).join(path)]}" for path in row["labels"])
            file.write(f"{labels} {words(row['text'])}\n")
        file.flush()
        model = fasttext.train_supervised(
            file.name,
            wordNgrams=2,
            epoch=options.epochs,
            lr=0.5,
            dim=100,
            thread=options.threads,
            loss=options.loss,
            verbose=0,
        )
    model.save_model(options.model)
    trained = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)

    texts = [words(row["text"]) for row in read(options.test)]
    begin = time.process_time()
    answers, _ = model.predict(texts, k=5)
    end = time.process_time()
    with open(options.answers, "w", encoding="utf-8") as file:
        for row in answers:
            file.write(json.dumps([names[int(label[len("__label__") :])] for label in row]) + "\n")
    print(
        json.dumps(
            {
                "wallSeconds": trained - started,
                "cpuSeconds": usage.ru_utime + usage.ru_stime,
                "peakRssBytes": usage.ru_maxrss * 1024,
                "modelBytes": os.path.getsize(options.model),
                "queryMs": 1000 * (end - begin) / len(texts),
            }
        )
    )


main()
