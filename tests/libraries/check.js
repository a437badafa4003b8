// Verifies what whsec signed with Node's libraries, and signs with them for whsec to verify.
const { readFileSync, createWriteStream } = require("node:fs");
const { createHash } = require("node:crypto");
const standard = require("standardwebhooks");
const svix = require("svix");
const stripe = require("stripe")("no key is needed to verify");

const folder = process.argv[2];

function accepted(library, body, headers, secret) {
  try {
    if (library === "stripe") {
      stripe.webhooks.signature.verifyHeader(body, headers["X-Layers-Signature"], secret, 300);
    } else if (library === "svix") {
      const renamed = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.replace("webhook-", "svix-"), value]));
      new svix.Webhook(secret).verify(body, renamed);
    } else {
      new standard.Webhook(secret).verify(body, headers);
    }
    return true;
  } catch {
    return false;
  }
}

const looked = {};
let differing = 0;
for (const line of readFileSync(`${folder}/ours.ndjson`, "utf8").trim().split("\n")) {
  const given = JSON.parse(line);
  const body = Buffer.from(given.body, "base64").toString();
  const headers = Object.fromEntries(given.headers);
  for (const library of given.provider === "layers" ? ["stripe"] : ["standardwebhooks", "svix"]) {
    looked[library] = (looked[library] ?? 0) + 1;
    if (accepted(library, body, headers, given.secret) !== given.accepted && differing++ < 3) {
      console.log(`node ${library} differs on ${line}`);
    }
  }
}
if (differing) throw new Error(`${differing} cases differ`);
console.log("node verifies as whsec does:", Object.entries(looked).map(([name, count]) => `${name} ${count}`).join(", "));

let counter = 0;
const bytes = () => createHash("sha256").update(`seed ${counter++}`).digest();
const number = (below) => bytes().readUInt32BE(0) % below;
const secretOf = () => "whsec_" + bytes().subarray(0, 24).toString("base64");
const now = Math.floor(Date.now() / 1000);
const out = createWriteStream(`${folder}/node.ndjson`);
for (const library of ["standardwebhooks", "svix", "stripe"]) {
  for (let index = 0; index < 1000; index++) {
    const kind = ["good", "good", "body", "secret", "stale", "second"][number(6)];
    const letters = ["a", "\"", "\\", "/", "<", "é", "✓", "🔑", "\n", " "];
    const word = Array.from({ length: number(50) }, () => letters[number(letters.length)]).join("");
    let body = JSON.stringify({ n: number(1e9), t: word }, null, number(2) ? 2 : undefined);
    const at = now - (kind === "stale" ? 4000 : number(60));
    const secret = secretOf();
    const signer = kind === "secret" ? secretOf() : secret;
    let headers;
    if (library === "stripe") {
      const sign = (by) => stripe.webhooks.generateTestHeaderString({ payload: body, secret: by, timestamp: at });
      const mac = sign(signer).split("v1=")[1];
      const other = sign("whsec_other").split("v1=")[1];
      headers = { "X-Layers-Signature": kind === "second" ? `t=${at},v1=${other},v1=${mac}` : `t=${at},v1=${mac}` };
    } else {
      const { Webhook } = library === "svix" ? svix : standard;
      const sign = (by) => new Webhook(by).sign(`msg_${index}`, new Date(at * 1000), body);
      const signature = kind === "second" ? `${sign("whsec_b3RoZXI=")} ${sign(signer)}` : sign(signer);
      headers = { "webhook-id": `msg_${index}`, "webhook-timestamp": `${at}`, "webhook-signature": signature };
    }
    if (kind === "body") body += " ";
    out.write(JSON.stringify({
      library: `node ${library}`, provider: library === "stripe" ? "layers" : "signa", secret, headers,
      body: Buffer.from(body).toString("base64"), accepted: kind === "good" || kind === "second",
    }) + "\n");
  }
}
out.end();
