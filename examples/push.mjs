// Asks for a payment by pushing to Redis: npm install redis; node push.mjs
import { createHash, createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createClient } from "redis";

const { CARD_TOKEN: token, KEY, KID: kid, REDIS_URL: url, SIGNING_KEY: pem } = process.env;
let request = JSON.stringify({ v: 1, type: "charge", account: "hotel", token, idempotency_key: KEY,
  customer: { email: "guest@example.com" }, money: { amount: 1500, currency: "MYR" } });
if (pem) { // a file in PEM; without one it is pushed as it is
  const b64 = (part) => Buffer.from(part).toString("base64url");
  const head = `${b64(JSON.stringify({ alg: "EdDSA", kid }))}.${b64(request)}`;
  request = `${head}.${b64(sign(null, Buffer.from(head), createPrivateKey(readFileSync(pem))))}`;
}
const store = await createClient({ url }).connect();
await store.rPush("{hf:0}:intake", request);
await store.publish("hf:wake", "");
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
let answer;
while (!(answer = await store.hGet(`hf:answer:hotel:${sha256(KEY)}`, sha256(request))))
  await new Promise((resolve) => setTimeout(resolve, 50));
const { outcome, payment, problem } = JSON.parse(answer);
console.log(outcome, payment?.id ?? problem.code);
store.destroy();
