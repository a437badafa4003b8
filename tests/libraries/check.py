"""Verifies what whsec signed with Python's libraries, and signs with them for whsec to verify."""
import base64, json, random, sys, time
from datetime import datetime, timezone

import standardwebhooks
import stripe
import svix

folder = sys.argv[1]


def accepted(library, case):
    body = base64.b64decode(case["body"]).decode()
    headers = dict(case["headers"])
    try:
        if library == "stripe":
            stripe.WebhookSignature.verify_header(body, headers["X-Layers-Signature"], case["secret"], 300)
        elif library == "svix":
            renamed = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
            svix.Webhook(case["secret"]).verify(body, renamed)
        else:
            standardwebhooks.Webhook(case["secret"]).verify(body, headers)
        return True
    except Exception:
        return False


def libraries(case):
    return ["stripe"] if case["provider"] == "layers" else ["standardwebhooks", "svix"]


differing, looked = [], {}
with open(f"{folder}/ours.ndjson") as lines:
    for line in lines:
        case = json.loads(line)
        for library in libraries(case):
            looked[library] = looked.get(library, 0) + 1
            if accepted(library, case) != case["accepted"]:
                differing.append((library, case))
for library, case in differing[:3]:
    print(f"python {library} differs on {case}")
assert not differing, f"{len(differing)} cases differ"
print("python verifies as whsec does:", ", ".join(f"{name} {count}" for name, count in sorted(looked.items())))


def text(dice):
    letters = "abz \"\\/<>&{}[]:,0\n\té✓\U0001f511"
    return json.dumps({"n": dice.randrange(10**9), "t": "".join(dice.choices(letters, k=dice.randrange(60)))},
                      ensure_ascii=dice.random() < 0.5, indent=dice.choice([None, 2]))


dice, now = random.Random(20261120), int(time.time())
with open(f"{folder}/python.ndjson", "w") as out:
    for library in ["standardwebhooks", "svix", "stripe"]:
        for index in range(1000):
            secret = "whsec_" + base64.b64encode(dice.randbytes(24)).decode()
            body, at, kind = text(dice), now, dice.choice(["good", "good", "body", "secret", "stale", "second"])
            at -= 4000 if kind == "stale" else dice.randrange(60)
            signer = "whsec_" + base64.b64encode(dice.randbytes(24)).decode() if kind == "secret" else secret
            if library == "stripe":
                mac = stripe.WebhookSignature._compute_signature(f"{at}.{body}", signer)
                other = stripe.WebhookSignature._compute_signature(f"{at}.{body}", "whsec_other")
                entries = [other, mac] if kind == "second" else [mac]
                headers = {"X-Layers-Signature": ",".join([f"t={at}"] + [f"v1={entry}" for entry in entries])}
            else:
                module = standardwebhooks if library == "standardwebhooks" else svix
                moment = datetime.fromtimestamp(at, tz=timezone.utc)
                mac = module.Webhook(signer).sign(f"msg_{index}", moment, body)
                other = module.Webhook("whsec_b3RoZXI=").sign(f"msg_{index}", moment, body)
                signature = f"{other} {mac}" if kind == "second" else mac
                headers = {"webhook-id": f"msg_{index}", "webhook-timestamp": str(at), "webhook-signature": signature}
            if kind == "body":
                body += " "
            out.write(json.dumps({
                "library": f"python {library}", "provider": "layers" if library == "stripe" else "signa",
                "secret": secret, "headers": headers, "body": base64.b64encode(body.encode()).decode(),
                "accepted": kind in ["good", "second"],
            }) + "\n")
