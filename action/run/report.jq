# What came of a command of whsec, out of the object that it ends with: `$what` is one of outputs, annotations and summary.
# `$exit` is whsec's exit code, `$level` how loudly a failure is told.

# An object of one rotation is a row like those of many.
def rows: if (.targets | type) == "array" then .targets[] else . end;
def is_open: .rotation != null and .closed_at == null or (.step != null and .opened_at != null);
def is_overdue: .overdue == true or (.steps != null and $exit == 12);
def next: .step // .next.step;
def is_plan: (.plan | type) == "array";
def is_known: (is_plan | not) and (.targets != null or .rotation != null or $exit == 0);
# What failed: each target's error, or the one of the whole.
def failures: [(.tended // [])[] | select(.error)] as $each | if ($each | length) > 0 then $each[] elif .error then . else empty end;

def outputs:
    if is_known then
        "open=\([rows | select(is_open)] | length)",
        "overdue=\([rows | select(is_overdue)] | length)"
    else empty end,
    (.digest // .run.plan // empty | "digest=\(.)"),
    # Outputs may have a megabyte a job.
    (tojson | if utf8bytelength > 400000 then empty else "json=\(.)" end);

# As the runner reads its commands: what has a line break or a percent sign in it stays one command.
def data: gsub("%"; "%25") | gsub("\r"; "%0D") | gsub("\n"; "%0A");
def property: data | gsub(":"; "%3A") | gsub(","; "%2C");
def say($level; $about; $words): "::\($level) title=\("whsec \($about)" | property)::\($words | data)";
def names(rows): [rows | .target + (if next then " (\(next))" else "" end)] | join(", ");
def annotations:
    [rows | select(is_overdue)] as $overdue
    | [rows | select(is_open)] as $open
    | (failures | say($level; .target // .command; .error.message + (if .error.hint then "\n" + .error.hint else "" end))),
      (if ($overdue | length) > 0 then say("error"; .command; "overdue: " + names($overdue[])) else empty end),
      (if $exit == 11 and ($open | length) > 0 then say($level; .command; "waits: " + names($open[])) else empty end);

# In a span of code nothing is a link, a picture or a table, whoever has said it.
def cell:
    if . == null or . == "" then ""
    else "`" + (tostring | gsub("`"; "'") | gsub("[\r\n]+"; " ") | gsub("\\|"; "\\|")) + "`" end;
def summary:
    [rows | select(.target)] as $rows
    | (if ($rows | length) == 0 then empty else
          "",
          "| target | status | next | owner | the old secret ends | overdue |",
          "|---|---|---|---|---|---|",
          ($rows[] | [.target, .status, next, .owner, .expires_at // .previous.expires_at | cell] + [if is_overdue then "**yes**" else "" end]
              | "| \(join(" | ")) |")
      end),
      (if is_plan then
          "", "plan \(.digest | cell)", "",
          "| target | provider | endpoint | the old secret ends with the call |",
          "|---|---|---|---|",
          (.plan[] | [.target, .provider, .id, .direction | cell] + [if .ends_old then "**yes**" else "" end]
              | "| \(.[0]) | \(.[1]) | \(.[2]) | \(if .[4] == "" then .[3] else .[4] end) |"),
          (.skipped[]? | "", "left out: \(.target | cell), \(.why | cell)")
      else empty end),
      (failures | "", "\(.target // .command | cell): \(.error.message | cell)", (if .error.hint then "", "hint: \(.error.hint | cell)" else empty end));

if $what == "outputs" then outputs elif $what == "annotations" then annotations else summary end
