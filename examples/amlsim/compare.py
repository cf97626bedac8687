#!/usr/bin/env python3
"""Scores of AMLSim's labelled accounts against unlabelled ones of the same degree.

    riskmesh import transactions transactions.csv --format csv --mapping examples/amlsim/mapping.toml --tenant amlsim
    examples/amlsim/compare.py --nodes nodes.csv --transactions transactions.csv \
        --token "$(riskmesh token --role analyst --tenant amlsim)"

A busy account trips more rules than a quiet one, labelled or not; so each labelled account is held against unlabelled ones with the
same number of transfers in and out (the nearest where none has the same). Standard library only.
"""
import argparse
import collections
import csv
import json
import random
import urllib.request


def pages(url, token):
    cursor = ""
    while True:
        request = urllib.request.Request(
            f"{url}/v2/analytics?limit=1000{cursor}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            page = json.load(response)
        yield from page["analytics"]
        if "nextCursor" not in page["page"]:
            return
        cursor = "&cursor=" + page["page"]["nextCursor"]


def auc(positive, negative):
    """The chance that a labelled account scores higher than its match (ties count half)."""
    wins = sum((p > n) + 0.5 * (p == n) for p, n in zip(positive, negative))
    return wins / len(positive)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--token", required=True)
    parser.add_argument("--nodes", required=True)
    parser.add_argument("--transactions", required=True)
    arguments = parser.parse_args()

    degree = collections.Counter()
    with open(arguments.transactions, newline="") as file:
        for row in csv.DictReader(file):
            degree[row["sourceNodeId"]] += 1
            degree[row["targetNodeId"]] += 1
    with open(arguments.nodes, newline="") as file:
        labelled = {row["nodeid"] for row in csv.DictReader(file) if row["isFraud"] == "1"}
    scores, reasons = {}, {}
    for item in pages(arguments.url, arguments.token):
        node = str(int(item["clientId"]) - 1_000_000_000)
        scores[node] = item["risk"]["score"]
        reasons[node] = {r["code"] for r in item["risk"]["reasons"] if r["pillar"] == "behaviour" and r["points"] > 0}

    by_degree = collections.defaultdict(list)
    for node in sorted(scores, key=int):  # the list's order is that of the accounts' creation
        if node not in labelled:
            by_degree[degree[node]].append(node)
    degrees = sorted(by_degree)
    random.seed(1)
    pairs = []
    for node in sorted(labelled & scores.keys(), key=int):
        nearest = min(degrees, key=lambda d: abs(d - degree[node]))
        pairs.append((node, random.choice(by_degree[nearest])))

    print(f"accounts scored: {len(scores)}, labelled: {len(pairs)}, each with one unlabelled account of its degree")
    mean = lambda nodes: sum(scores[n] for n in nodes) / len(nodes)
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    print(f"mean degree  labelled {sum(degree[n] for n in left) / len(left):.1f}   matched {sum(degree[n] for n in right) / len(right):.1f}")
    print(f"mean score   labelled {mean(left):.2f}   matched {mean(right):.2f}   all unlabelled {mean([n for n in scores if n not in labelled]):.2f}")
    print(f"labelled scores higher than its match (AUC): {auc([scores[n] for n in left], [scores[n] for n in right]):.3f}")
    for code in sorted(set().union(*reasons.values())):
        share = lambda nodes: 100 * sum(code in reasons[n] for n in nodes) / len(nodes)
        print(f"{code:<20} labelled {share(left):5.2f} %   matched {share(right):5.2f} %")


if __name__ == "__main__":
    main()
