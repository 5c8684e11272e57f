#!/usr/bin/env bash
# Deploy a stack for real, put a receipt through it, replay it, and take everything down again.
#
#   infra/smoke.sh express|custom FILE.tfvars [RECEIPT.jpg]
#
# It makes real resources in the account of your AWS credentials and costs money while it runs (about half an hour, most
# of it SageMaker's). FILE.tfvars is one of yours as in infra/examples. It needs terraform, aws (version 2) and jq.
#   SMOKE_KEEP=1      leave the stack standing
#   SMOKE_OUTPUTS=F   do not apply nor destroy: test the stack whose `terraform output -json` is in F
#   SMOKE_WAIT_S=N    longest wait for a row, seconds (default 900: from zero tasks, and a model that has just started)
set -euo pipefail

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} == express || ${1:-} == custom ]] || usage
root=$here/$1
vars=${2:-}
receipt=${3:-$here/../worker/local/samples/files/de-supermarket-card.jpg}
wait_s=${SMOKE_WAIT_S:-900}
run=smoke-$(date -u +%Y%m%dT%H%M%SZ)
[[ -n ${SMOKE_OUTPUTS:-} || -f $vars ]] || usage
[[ -f $receipt ]] || { echo "smoke: no such file: $receipt" >&2; exit 2; }
tools=(aws jq)
[[ -n ${SMOKE_OUTPUTS:-} ]] || tools+=(terraform)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || { echo "smoke: $tool is not installed" >&2; exit 2; }
done

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*"; }

terraform_do() { terraform -chdir="$root" "$1" -input=false -auto-approve -var-file="$vars" "${@:2}"; }

stop() {
    local code=$?
    trap - EXIT
    if [[ -z ${SMOKE_OUTPUTS:-} && -z ${SMOKE_KEEP:-} ]]; then
        say "destroying the stack"
        terraform_do destroy "${only_smoke[@]}" || { echo "smoke: the stack is still there: terraform -chdir=$root destroy" >&2; code=1; }
    fi
    if [[ $code -eq 0 ]]; then say "passed"; else say "FAILED"; fi
    exit "$code"
}

# Names of its own, and nothing that refuses to be destroyed.
only_smoke=(-var "name=rcpt-smoke" -var "protect_data=false")

if [[ -n ${SMOKE_OUTPUTS:-} ]]; then
    outputs=$(cat "$SMOKE_OUTPUTS")
    trap stop EXIT
else
    vars=$(cd "$(dirname "$vars")" && pwd)/$(basename "$vars")
    say "terraform init and apply of $1"
    terraform -chdir="$root" init -input=false
    trap stop EXIT
    terraform_do apply "${only_smoke[@]}"
    outputs=$(terraform -chdir="$root" output -json)
fi

output() { jq -er --arg name "$1" '.[$name].value' <<<"$outputs"; }
bucket=$(output bucket) table=$(output table) queue=$(output queue_url) dead=$(output dead_letter_queue_url)
AWS_REGION=$(output region)
export AWS_REGION AWS_PAGER=""

row() { # KEY: the row of a document, or nothing
    aws dynamodb get-item --table-name "$table" --consistent-read --output json \
        --key "$(jq -nc --arg d "$bucket/$1" '{document: {S: $d}}')" | jq -c '.Item // empty'
}

await() { # KEY FILTER: wait until the row of KEY passes the jq FILTER, and print it
    local deadline=$((SECONDS + wait_s)) item
    while ((SECONDS < deadline)); do
        item=$(row "$1")
        if [[ -n $item ]] && jq -e "$2" <<<"$item" >/dev/null; then
            echo "$item"
            return
        fi
        sleep 5
    done
    echo "smoke: no such row of $1 within $wait_s s: $2" >&2
    return 1
}

show() { jq -r '"status \(.status.S), merchant \(.merchant.M.name.S // "-"), total \(.total.N // "-"), revision \(.revision.N // "-")"'; }

key=$run/$(basename "$receipt")
say "dropping $(basename "$receipt") into s3://$bucket/$key"
aws s3 cp --only-show-errors "$receipt" "s3://$bucket/$key"
first=$(await "$key" '.status.S == "extracted" or .status.S == "needs_review"')
say "row: $(show <<<"$first")"

say "the same bytes under another name: answered from the table"
aws s3 cp --only-show-errors "$receipt" "s3://$bucket/$run/copy"
say "row: $(await "$run/copy" '.status.S == "extracted" or .status.S == "needs_review"' | show)"

say "what is no picture: rejected"
echo "no picture" | aws s3 cp --only-show-errors - "s3://$bucket/$run/note.txt"
say "row: $(await "$run/note.txt" '.status.S == "rejected"' | jq -r '"status \(.status.S), reason \(.reason.S)"')"

say "replaying $key with a new call of the model"
aws sqs send-message --queue-url "$queue" --output text --query MessageId --message-body "$(
    jq -nc --arg id "$run" --arg bucket "$bucket" --arg key "$key" --argjson row "$first" \
        '{kind: "receipts.replay", replay_id: $id, force: true, bucket: $bucket, key: $key}
         + ($row | {uploaded_at, version_id, etag, sequencer} | map_values(.S?))'
)"
await "$key" ".revision.N != $(jq '.revision.N' <<<"$first")" | show

waiting=$(aws sqs get-queue-attributes --queue-url "$dead" --attribute-names ApproximateNumberOfMessages \
    --query Attributes.ApproximateNumberOfMessages --output text)
[[ $waiting == 0 ]] || { echo "smoke: $waiting messages in the dead-letter queue" >&2; exit 1; }
