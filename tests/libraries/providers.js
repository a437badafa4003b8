// Providers' own libraries for Node: they judge what whsec signed, and sign for whsec to judge.
const { readFileSync, writeFileSync } = require("node:fs");
const { randomBytes } = require("node:crypto");
const twilio = require("twilio");
const line = require("@line/bot-sdk");
const { WebhooksHelper } = require("square");

const folder = process.argv[2];
const fieldsOf = (body) => Object.fromEntries(new URLSearchParams(body));

async function main() {
  const github = await import("@octokit/webhooks-methods");
  const judges = {
    // It throws where there is nothing to verify.
    github: ({ secret }, headers, body) => !!headers["x-hub-signature-256"] && github.verify(secret, body, headers["x-hub-signature-256"]),
    twilio: ({ secret, url }, headers, body) =>
      twilio.validateRequest(secret, headers["x-twilio-signature"] ?? "", url, fieldsOf(body)),
    line: ({ secret }, headers, body) => line.validateSignature(body, secret, headers["x-line-signature"] ?? ""),
    square: ({ secret, url }, headers, body) => WebhooksHelper.verifySignature({
      requestBody: body, signatureHeader: headers["x-square-hmacsha256-signature"] ?? "", signatureKey: secret, notificationUrl: url,
    }),
  };
  const counts = {};
  for (const text of readFileSync(`${folder}/providers.ndjson`, "utf8").trim().split("\n")) {
    const given = JSON.parse(text);
    if (!judges[given.provider]) continue;
    const headers = Object.fromEntries(given.headers.map(([name, value]) => [name.toLowerCase(), value]));
    const body = Buffer.from(given.body, "base64").toString();
    const said = !!(await judges[given.provider](given, headers, body));
    if (said !== given.accepted) throw new Error(`node ${given.provider} says ${said}: ${text}`);
    counts[`${given.provider} ${said}`] = (counts[`${given.provider} ${said}`] ?? 0) + 1;
  }
  if (Object.keys(counts).length !== 8 || Math.min(...Object.values(counts)) < 500) throw new Error(JSON.stringify(counts));
  console.log("node judges as whsec does:", JSON.stringify(counts));

  const lines = [];
  for (const provider of ["github", "twilio"]) {
    for (let index = 0; index < 1000; index++) {
      const kind = ["good", "good", "body", "secret"][index % 4];
      const [secret, other] = [randomBytes(16).toString("hex"), randomBytes(16).toString("hex")];
      const [signer, url] = [kind === "secret" ? other : secret, `https://hooks.example/in?n=${index}`];
      const text = `é✓🔑 "\\/ ${index} +&=%`.slice(index % 12);
      let body, headers;
      if (provider === "github") {
        body = JSON.stringify({ text });
        headers = { "X-Hub-Signature-256": await github.sign(signer, body) };
        body += kind === "body" ? " " : "";
      } else {
        const fields = { Body: text, From: "+1415", A: "" };
        body = new URLSearchParams(fields).toString() + (kind === "body" ? "&c=1" : "");
        headers = { "X-Twilio-Signature": twilio.getExpectedTwilioSignature(signer, url, fields) };
      }
      lines.push(JSON.stringify({
        library: `node ${provider}`, provider, secret, headers, url, body: Buffer.from(body).toString("base64"),
        accepted: kind === "good",
      }));
    }
  }
  writeFileSync(`${folder}/providers-node.ndjson`, lines.join("\n") + "\n");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
