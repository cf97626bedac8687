#!/usr/bin/env bash
# A client in curl: makes a client with an account, records a transaction, reads the score.
#
#   examples/clients/curl.sh "$(riskmesh token --role admin)" [http://127.0.0.1:8080]
set -euo pipefail
token=${1:?give an admin token}
url=${2:-http://127.0.0.1:8080}

call() { # method path [json]
  curl --silent --show-error --fail-with-body --request "$1" "$url$2" \
    --header "Authorization: Bearer $token" \
    ${3:+--header 'Content-Type: application/json' --data "$3"}
  echo
}

id=$((RANDOM * 32768 + RANDOM))
account=$(printf '%010d' "$id")
call POST /v1/clients "{\"clientId\":\"$id\",\"name\":\"Ada Example\",\"residenceCountry\":\"IE\"}"
call POST "/v1/clients/$id/accounts" "{\"accountId\":\"$account\",\"currency\":\"EUR\"}"
call POST /v1/transactions:batchCreate "{\"transactions\":[{\"transactionId\":\"curl-$id\",\"accountId\":\"$account\",
  \"direction\":\"credit\",\"amount\":\"100.00\",\"currency\":\"EUR\",\"bookedAt\":\"2026-01-02T10:00:00Z\"}]}"
call GET "/v2/analytics/$id"
