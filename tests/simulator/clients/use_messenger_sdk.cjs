// Checks webhook signatures and reads conversations with @warriorteam/messenger-sdk.
// Arguments: the folder it is installed in. Input: JSON. Output: JSON.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");
const sdk = createRequire(process.argv[2] + "/")("@warriorteam/messenger-sdk");
const asked = JSON.parse(readFileSync(0));

async function main() {
  const valid = [];
  for (const { body, signature } of asked.webhooks) {
    const checked = await sdk.verifyWebhookSignature(Buffer.from(body, "base64"), signature, asked.secret);
    valid.push(checked.isValid);
  }
  const messenger = new sdk.Messenger({ accessToken: asked.token, version: "v26.0", baseUrl: asked.url });
  const listed = await messenger.conversations.list(asked.page, { platform: "messenger", limit: 2 });
  const messages = await messenger.conversations.getMessages(listed.data[0].id);
  const ids = (rows) => rows.map((row) => row.id);
  console.log(JSON.stringify({ valid, threads: ids(listed.data), messages: ids(messages.data) }));
}

main();
