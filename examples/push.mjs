// Asks for a payment by pushing to Redis: npm install redis; node push.mjs
// Needs REDIS_URL, CARD_TOKEN, and KEY, which names the payment; to sign, SIGNING_KEY (a file) and KID.
import { createHash, createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient } from "redis";

const { CARD_TOKEN: token, KEY, KID: kid, REDIS_URL: url, SIGNING_KEY: pem } = process.env;
let request = JSON.stringify({ v: 1, type: "charge", account: "hotel", token, idempotency_key: KEY,
  customer: { email: "guest@example.com" }, money: { amount: 1500, currency: "MYR" }, push: randomUUID() });
if (pem) { // a file in PEM; without one it is pushed as it is
  const b64 = (part) => Buffer.from(part).toString("base64url");
  const header = { alg: "EdDSA", kid, iat: Math.floor(Date.now() / 1000) };
  const head = `${b64(JSON.stringify(header))}.${b64(request)}`;
  request = `${head}.${b64(sign(null, Buffer.from(head), createPrivateKey(readFileSync(pem))))}`;
}
const store = await createClient({ url }).connect();
await store.rPush("{hf:0}:intake", request);
await store.publish("hf:wake", "");
const at = `{hf:0}:answer:hotel:${createHash("sha256").update(request).digest("hex")}`;
let answer;
for (let tries = 0; !(answer = await store.get(at)) && tries < 400; tries++) // 20 seconds
  await new Promise((resolve) => setTimeout(resolve, 50));
store.destroy();
if (!answer) throw new Error("no answer yet; ask again under the same idempotency_key");
const { outcome, payment, problem } = JSON.parse(answer);
console.log(outcome, payment?.id ?? problem.code);
