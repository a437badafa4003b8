"""Providers' own libraries for Python: they judge what whsec signed, and sign for whsec to judge."""
import base64, json, random, sys, time
from urllib.parse import parse_qsl, urlencode

from slack_sdk.signature import SignatureVerifier
from twilio.request_validator import RequestValidator

folder = sys.argv[1]


def twilio(case, headers, body):
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return RequestValidator(case["secret"]).validate(case["url"], fields, headers.get("x-twilio-signature", ""))


def slack(case, headers, body):
    stamp, signature = headers.get("x-slack-request-timestamp", "0"), headers.get("x-slack-signature", "")
    return SignatureVerifier(case["secret"]).is_valid(body, stamp, signature)


judges, counts = {"twilio": twilio, "slack": slack}, {}
with open(f"{folder}/providers.ndjson") as lines:
    for line in lines:
        case = json.loads(line)
        if judge := judges.get(case["provider"]):
            said = bool(judge(case, {name.lower(): value for name, value in case["headers"]}, base64.b64decode(case["body"])))
            assert said == case["accepted"], f"python {case['provider']} says {said}: {line}"
            counts[(case["provider"], said)] = counts.get((case["provider"], said), 0) + 1
assert len(counts) == 4 and min(counts.values()) >= 500, counts
print("python judges as whsec does:", counts)

dice, now = random.Random(20261122), int(time.time())
with open(f"{folder}/providers-python.ndjson", "w") as out:
    for provider in judges:
        for index in range(1000):
            kind = dice.choice(["good", "good", "body", "secret"] + (["stale"] if provider == "slack" else ["address"]))
            secret, other = (dice.randbytes(16).hex() for _ in range(2))
            signer, url = other if kind == "secret" else secret, f"https://hooks.example/in?n={index}"
            text = "".join(dice.choices("abz +&=%\"/é✓\U0001f511", k=dice.randrange(40)))
            body = urlencode({"Body": text, "From": "+1415", "A": ""})
            if provider == "twilio":
                fields = {"Body": text, "From": "+1415", "A": ""}
                at = "https://hooks.example/other" if kind == "address" else url
                headers = {"X-Twilio-Signature": RequestValidator(signer).compute_signature(at, fields)}
            else:
                at = str(now - (4000 if kind == "stale" else dice.randrange(60)))
                signature = SignatureVerifier(signer).generate_signature(timestamp=at, body=body)
                headers = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": signature}
            body += "&c=1" if kind == "body" else ""
            out.write(json.dumps({
                "library": f"python {provider}", "provider": provider, "secret": secret, "headers": headers, "url": url,
                "body": base64.b64encode(body.encode()).decode(), "accepted": kind == "good",
            }) + "\n")
