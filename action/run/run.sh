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
    rotate | force-rotate | apply | cutover | finish | rollback | tend | status | probe | inspect | doctor) ;;
    *) refuse "command: this is none that the action runs" ;;
esac
[[ "$RUN_WAITING_IS_SUCCESS" =~ ^(true|false)$ ]] || refuse "waiting-is-success: give true or false"
[[ "$RUN_WAIT_WHEN_BUSY" =~ ^[0-9]{1,4}$ ]] || refuse "wait-when-busy: give seconds"
command -v whsec >/dev/null || refuse "there is no whsec in this job: use the action setup in a step before"
command -v jq >/dev/null || refuse "there is no jq in this job: install it in a step before"

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
# A child that is ended before it has become whsec is still this script, and not its end.
trap '[[ "${BASHPID:-$$}" != $$ ]] || rm -rf "$work"' EXIT
# While whsec talks, the runner takes no commands from what it says, some of which providers have said.
token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

child='' signals=0 owed=0
# An interrupt is ignored by what a shell starts in the background.
end_child() {
    kill -TERM "$child" 2>/dev/null || true
}
# shellcheck disable=SC2329 # by the trap
pass_on() {
    signals=$((signals + 1))
    if [[ -n "$child" ]]; then end_child; else owed=1; fi
}
trap pass_on INT TERM

code=143
attempt() {
    local before
    # Whoever cancels wants nothing begun any more.
    ((signals == 0)) || return 0
    echo "::stop-commands::$token"
    # What stands behind `--` is a target, whatever it begins with.
    whsec "$RUN_COMMAND" "${options[@]}" -- ${targets[@]+"${targets[@]}"} >"$work/out" </dev/null &
    child=$!
    # One that came before its process was known is handed on now.
    ((owed == 0)) || end_child
    while :; do
        before=$signals code=0
        wait "$child" || code=$?
        # A signal ends the wait and not yet whsec.
        ((signals > before)) || break
    done
    child=''
    echo "::$token::"
}
# Whether another machine was at work, which exit 5 alone does not say. What was refused for it has done nothing.
is_busy() {
    ((code == 5)) && ((signals == 0)) && [[ "$RUN_COMMAND" == cutover ]] &&
        [[ "$(tail -n 1 "$work/out" | jq -r .error.busy 2>/dev/null)" == true ]]
}
# A number with a zero in front is octal otherwise.
until=$((SECONDS + 10#$RUN_WAIT_WHEN_BUSY))
: >"$work/out"
attempt
while ((SECONDS < until)) && is_busy; do
    echo "another machine is at work there: trying again in 5 s"
    # A signal ends the wait for it at once, where the shell would sit out a pause of its own.
    sleep 5 >/dev/null 2>&1 &
    wait $! || true
    attempt
done

last=$(tail -n 1 "$work/out")
jq -c 'select(type == "object" and .schema == "whsec/v1")' <<<"$last" >"$work/json" 2>/dev/null || : >"$work/json"
# What jq cannot do changes nothing about how whsec has ended.
if ((code == 0)) && [[ ! -s "$work/json" && "$last" != '{'*'"whsec/v1"'* ]]; then
    echo "whsec has ended well, and has said nothing that can be read"
    code=1
fi

is_success=no level=error
if ((code == 0)) || { ((code == 11)) && [[ "$RUN_WAITING_IS_SUCCESS" == true ]]; }; then is_success=yes level=notice; fi
fails=''
report() {
    jq -r --argjson exit "$code" --arg level "$level" --arg what "$1" -f "$GITHUB_ACTION_PATH/report.jq" "$work/json" || fails=jq
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
[[ -z "$fails" ]] || echo "::warning title=whsec run::jq fails, so outputs and summary lack something: what whsec said stands above"

[[ $is_success == no ]] || exit 0
exit "$code"
