#!/usr/bin/env bash
# Runs one command of whsec as a step of a workflow: outputs, annotations, a summary, and an exit code that a workflow can use.
set -euo pipefail
# One stream, so that what the runner is told stands before and behind what whsec says.
exec 2>&1

refuse() {
    echo "::error title=whsec::$1"
    exit 2
}

# What shows a secret or moves one is not among them.
case "$RUN_COMMAND" in
    rotate | force-rotate | cutover | finish | rollback | tend | status | probe | inspect | doctor) ;;
    *) refuse "command: this is none that the action runs" ;;
esac
[[ "$RUN_WAITING_IS_SUCCESS" =~ ^(true|false)$ ]] || refuse "waiting-is-success: give true or false"
[[ "$RUN_WAIT_WHEN_BUSY" =~ ^[0-9]{1,4}$ ]] || refuse "wait-when-busy: give seconds"
command -v whsec >/dev/null || refuse "there is no whsec in this job: use the action setup in a step before"

options=(--json --no-input) targets=()
while IFS= read -r line; do
    [[ -z "$line" ]] || options+=("$line")
done <<<"$RUN_ARGUMENTS"
[[ -z "$RUN_REASON" ]] || options+=("--reason=$RUN_REASON")
if [[ "$RUN_SELECT" == --all ]]; then
    options+=(--all)
else
    while IFS= read -r line; do
        [[ -z "$line" ]] || targets+=("$line")
    done <<<"$RUN_SELECT"
fi

work=$(mktemp -d "${RUNNER_TEMP:?}/whsec-run.XXXXXX")
trap 'rm -rf "$work"' EXIT
# While whsec talks, the runner takes no commands from what it says, some of which providers have said.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

child='' signals=0
# shellcheck disable=SC2329 # by the trap
pass_on() {
    signals=$((signals + 1))
    # An interrupt is ignored by what a shell starts in the background.
    [[ -z "$child" ]] || kill -TERM "$child" 2>/dev/null || true
}
trap pass_on INT TERM

code=0
attempt() {
    local before
    echo "::stop-commands::$token"
    # What stands behind `--` is a target, whatever it begins with.
    whsec "$RUN_COMMAND" "${options[@]}" -- ${targets[@]+"${targets[@]}"} >"$work/out" </dev/null &
    child=$!
    while :; do
        before=$signals code=0
        wait "$child" || code=$?
        # A signal ends the wait and not yet whsec.
        ((signals > before)) || break
    done
    child=''
    echo "::$token::"
}
# Whether another machine is at work, which exit 5 alone does not say. What was refused for it has done nothing.
is_busy() {
    ((code == 5)) && ((signals == 0)) && [[ "$RUN_COMMAND" == cutover ]] &&
        whsec journal show --json 2>/dev/null | tail -n 1 | jq -e '.journal.held | length > 0' >/dev/null 2>&1
}
until=$((SECONDS + RUN_WAIT_WHEN_BUSY))
attempt
while ((SECONDS < until)) && is_busy; do
    echo "another machine is at work there: trying again in 5 s"
    sleep 5
    attempt
done

tail -n 1 "$work/out" | jq -c 'select(type == "object" and .schema == "whsec/v1")' >"$work/json" 2>/dev/null || : >"$work/json"
if ((code == 0)) && [[ ! -s "$work/json" ]]; then
    echo "whsec has ended well, and has said nothing that can be read"
    code=1
fi

is_success=no level=error
if ((code == 0)) || { ((code == 11)) && [[ "$RUN_WAITING_IS_SUCCESS" == true ]]; }; then is_success=yes level=notice; fi
report() {
    jq -r --argjson exit "$code" --arg level "$level" --arg what "$1" -f "$GITHUB_ACTION_PATH/report.jq" "$work/json"
}
{
    echo "exit=$code"
    report outputs
} >>"$GITHUB_OUTPUT"
{
    echo "### whsec $RUN_COMMAND: exit $code"
    report summary
    echo
} >>"$GITHUB_STEP_SUMMARY"
report annotations >"$work/annotations"
if [[ $is_success == no && ! -s "$work/annotations" ]]; then
    echo "::error title=whsec $RUN_COMMAND::exit $code: what it said stands above"
fi
cat "$work/annotations"

[[ $is_success == no ]] || exit 0
exit "$code"
