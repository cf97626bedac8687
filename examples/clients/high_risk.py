#!/usr/bin/env python3
"""Prints the clients of the band High with their weightiest reason. Standard library only.

    examples/clients/high_risk.py "$(riskmesh token --role analyst)" [http://127.0.0.1:8080]

It walks the whole list by cursor, waits as long as a 429 says, and shows the traceId of an error.
"""
import json
import sys
import time
import urllib.error
import urllib.request


def get(url, token):
    while True:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code in (429, 503) and "Retry-After" in error.headers:
                time.sleep(int(error.headers["Retry-After"]))
                continue
            body = json.load(error)
            sys.exit(f"{body['errorCode']}: {body['message']} (traceId {body['traceId']})")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    token, url = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8080"
    path = "/v2/analytics?limit=1000"
    while path:
        page = get(url + path, token)
        for item in page["analytics"]:
            risk = item["risk"]
            if risk["category"] == "High":
                floors = [reason for reason in risk["reasons"] if reason["floor"]]
                reason = (floors or risk["reasons"])[0]
                print(f"{item['clientId']:>12}  {risk['score']:3}  {reason['code']}: {reason['text']}")
        cursor = page["page"].get("nextCursor")
        path = f"/v2/analytics?limit=1000&cursor={cursor}" if cursor else None


if __name__ == "__main__":
    main()
