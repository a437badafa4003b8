// A receiver that verifies with the library `svix`; its secrets are the values of a dotenv file, read anew each time.
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { Webhook } = require("svix");

function secrets() {
  const pairs = readFileSync(process.argv[2], "utf8").split("\n").map((line) => line.split(/=(.*)/s));
  return pairs.filter(([name]) => ["HOOK_SECRET", "HOOK_SECRET_NEW"].includes(name)).map(([, value]) => value.replace(/^['"]|['"]$/g, ""));
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name.replace("webhook-", "svix-"), value]));
  const known = secrets().some((secret) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });
  response.writeHead(known ? 200 : 401).end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
