#!/usr/bin/env bash
# Deploy a real stack, process a receipt with it, replay the receipt, and destroy the stack.
#
#   infra/smoke.sh express|custom FILE.tfvars [RECEIPT.jpg]
#
# It creates real resources in the account of your AWS credentials, which cost money while it runs (about half an hour,
# most of it for SageMaker). FILE.tfvars is your own, see infra/examples. It needs terraform, aws (version 2) and jq.
# The stack is separate from all others: it has its own name, its own state in a temporary directory, its own bucket
# whatever FILE.tfvars says, and sends no mail. Existing resources in the account are not touched.
#   SMOKE_KEEP=1      do not destroy the stack
#   SMOKE_OUTPUTS=F   do not apply or destroy: test the stack whose `terraform output -json` is in F
#   SMOKE_WAIT_S=N    longest wait for a row, in seconds (default 900, for zero tasks and a model that has just started)
set -euo pipefail

usage() {
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
[[ ${1:-} == express || ${1:-} == custom ]] || usage
vars=${2:-}
receipt=${3:-$here/../worker/workbench/local/samples/files/de-supermarket-card.jpg}
wait_s=${SMOKE_WAIT_S:-900}
run=smoke-$(date -u +%Y%m%dT%H%M%SZ)
[[ -n ${SMOKE_OUTPUTS:-} || -f $vars ]] || usage
[[ -f $receipt ]] || { echo "smoke: file not found: $receipt" >&2; exit 2; }
tools=(aws jq)
[[ -n ${SMOKE_OUTPUTS:-} ]] || tools+=(terraform)
for tool in "${tools[@]}"; do
    command -v "$tool" >/dev/null || { echo "smoke: $tool is not installed" >&2; exit 2; }
done

say() { printf '%s  %s\n' "$(date -u +%H:%M:%S)" "$*"; }

# Terraform runs on a copy, so that the state, backend and variables of your own stack are not touched.
copy() { # ROOT: a copy of it and of the modules; sets `root`
    unset TF_DATA_DIR TF_WORKSPACE
    local work
    work=$(mktemp -d "${TMPDIR:-/tmp}/receipts-smoke.XXXXXX")
    root=$work/$1
    mkdir "$root"
    cp -R "$here/modules" "$work"
    cp "$here/$1"/{main,outputs,variables,versions}.tf "$root"
    if [[ $vars == *.json ]]; then cp "$vars" "$root/terraform.tfvars.json"; else cp "$vars" "$root/terraform.tfvars"; fi
    cat >"$root/smoke.auto.tfvars" <<END
name         = "rcpt-smoke-$(date -u +%H%M%S)"
protect_data = false
alarm_emails = []
END
    cat >"$root/smoke_override.tf" <<END
terraform {
  backend "local" {}
}

module "intake" {
  existing_bucket     = null
  manage_notification = true
  filters             = []
}
END
}

terraform_do() { terraform -chdir="$root" "$1" -input=false "${@:2}"; }

stop() {
    local code=$?
    trap - EXIT
    if [[ -n ${root:-} && -n ${SMOKE_KEEP:-} ]]; then
        say "the stack is kept; to destroy it: terraform -chdir=$root destroy"
    elif [[ -n ${root:-} ]]; then
        say "destroying the stack"
        if terraform_do destroy -auto-approve; then
            rm -rf "$(dirname "$root")"
        else
            echo "smoke: could not destroy the stack; try again: terraform -chdir=$root destroy" >&2
            code=1
        fi
    fi
    if [[ $code -eq 0 ]]; then say "passed"; else say "FAILED"; fi
    exit "$code"
}

if [[ -n ${SMOKE_OUTPUTS:-} ]]; then
    outputs=$(cat "$SMOKE_OUTPUTS")
    trap stop EXIT
else
    copy "$1"
    say "terraform init and apply of $1 in $root"
    terraform_do init
    trap stop EXIT
    terraform_do apply -auto-approve
    outputs=$(terraform -chdir="$root" output -json)
fi

output() { jq -er --arg name "$1" '.[$name].value' <<<"$outputs"; }
bucket=$(output bucket) table=$(output table) queue=$(output queue_url) dead=$(output dead_letter_queue_url)
AWS_REGION=$(output region)
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION AWS_PAGER=""

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
    echo "smoke: the row of $1 did not pass the filter within $wait_s s: $2" >&2
    return 1
}

# A failing $(…) in a command's arguments goes unnoticed, so rows are awaited in assignments.
read_well='.status.S == "extracted" or .status.S == "needs_review"'
show() { jq -r '"status \(.status.S), merchant \(.merchant.M.name.S // "-"), total \(.total.N // "-"), revision \(.revision.N // "-")"'; }

key=$run/$(basename "$receipt")
say "uploading $(basename "$receipt") into s3://$bucket/$key"
aws s3 cp --only-show-errors "$receipt" "s3://$bucket/$key"
first=$(await "$key" "$read_well")
say "row: $(show <<<"$first")"

say "uploading the same content under another name: expecting the answer from the table"
aws s3 cp --only-show-errors "$receipt" "s3://$bucket/$run/copy"
found=$(await "$run/copy" "$read_well")
say "row: $(show <<<"$found")"

say "uploading a text file: expecting a rejection"
echo "not a picture" | aws s3 cp --only-show-errors - "s3://$bucket/$run/note.txt"
found=$(await "$run/note.txt" '.status.S == "rejected"')
say "row: $(jq -r '"status \(.status.S), reason \(.reason.S)"' <<<"$found")"

say "replaying $key with a new endpoint call"
aws sqs send-message --queue-url "$queue" --output text --query MessageId --message-body "$(
    jq -nc --arg id "$run" --arg bucket "$bucket" --arg key "$key" --argjson row "$first" \
        '{kind: "receipts.replay", replay_id: $id, force: true, bucket: $bucket, key: $key}
         + ($row | {uploaded_at, version_id, etag, sequencer} | map_values(.S?))'
)"
found=$(await "$key" ".revision.N != $(jq '.revision.N' <<<"$first")")
say "row: $(show <<<"$found")"

waiting=$(aws sqs get-queue-attributes --queue-url "$dead" --attribute-names ApproximateNumberOfMessages \
    --query Attributes.ApproximateNumberOfMessages --output text)
[[ $waiting == 0 ]] || { echo "smoke: $waiting messages in the dead-letter queue" >&2; exit 1; }
