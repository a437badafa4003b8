#!/usr/bin/env bash
# Runs a command against moto, an AWS on loopback of another maker, which checks every signature. Needs moto_server and aws.
set -euo pipefail
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AWS_CONFIG_FILE=$folder/config AWS_SHARED_CREDENTIALS_FILE=$folder/credentials
export AWS_REGION=eu-west-1 AWS_DEFAULT_REGION=eu-west-1 AWS_ENDPOINT_URL=http://127.0.0.1:$port
export AWS_ACCESS_KEY_ID=setup AWS_SECRET_ACCESS_KEY=setup AWS_EC2_METADATA_DISABLED=true AWS_PAGER=
unset AWS_PROFILE AWS_SESSION_TOKEN
# The calls that make somebody who may ask are let through unsigned, and none after them.
INITIAL_NO_AUTH_ACTION_COUNT=3 moto_server -H 127.0.0.1 -p "$port" >"$folder/moto.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 200); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    sleep 0.05
done
aws iam create-user --user-name whsec >/dev/null
policy='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*","s3:*"],"Resource":"*"}]}'
aws iam put-user-policy --user-name whsec --policy-name all --policy-document "$policy"
key=$(aws iam create-access-key --user-name whsec --query 'AccessKey.[AccessKeyId,SecretAccessKey]' --output text)
read -r AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY <<<"$key"
aws s3api create-bucket --bucket whsec-journal --create-bucket-configuration LocationConstraint=eu-west-1 >/dev/null
"$@"
