// A hotel: holds a deposit in the guest's browser and captures it, saves a card and charges it.
//
// Needs HOLDFAST_API and HOLDFAST_KEY; EVENTS_PORT and EVENTS_SECRET of an endpoint in Holdfast's
// settings; and for the charge what push.mjs needs. The guest is a headless Chromium.
import { spawn } from "node:child_process";
import { createHmac, timingSafeEqual } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const { HOLDFAST_API, HOLDFAST_KEY, EVENTS_PORT, EVENTS_SECRET } = process.env;
const run = `${Date.now()}-${process.pid}`;
const secret = Buffer.from(EVENTS_SECRET.replace(/^whsec_/, ""), "base64");

// Asks Holdfast. With the same key it is safe to ask again, whatever became of the answer.
async function call(method, path, body, key) {
  const headers = { authorization: `Bearer ${HOLDFAST_KEY}`, "content-type": "application/json" };
  if (key) headers["idempotency-key"] = `${key}-${run}`;
  const answer = await fetch(HOLDFAST_API + path, { method, headers, body: body && JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${told.code}: ${told.detail}`);
  return told;
}

// Takes events that are signed by Standard Webhooks, each once.
const events = new EventEmitter();
const heard = [];
const seen = new Set();
const receiver = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts);
  const name = request.headers["webhook-id"];
  const at = request.headers["webhook-timestamp"];
  const signed = createHmac("sha256", secret).update(`${name}.${at}.`).update(body).digest("base64");
  const expected = Buffer.from(`v1,${signed}`);
  const fits = (given) => given.length === expected.length && timingSafeEqual(given, expected);
  const given = request.headers["webhook-signature"].split(" ").map((one) => Buffer.from(one));
  if (!given.some(fits) || Math.abs(Date.now() / 1000 - at) > 300) return response.writeHead(400).end();
  if (!seen.has(name)) {
    seen.add(name);
    heard.push(JSON.parse(body));
    events.emit("event");
  }
  response.writeHead(204).end();
});

// Waits for an event of a payment.
async function hears(type, payment) {
  const find = () => heard.find((event) => event.type === type && event.data.payment === payment);
  const until = Date.now() + 60_000;
  while (!find() && Date.now() < until) await Promise.race([sleep(1_000), once(events, "event")]);
  if (!find()) throw new Error(`${type} of ${payment} was not heard`);
  console.log(`heard ${type} of ${payment}`);
  return find().data;
}

// The guest's browser, by the WebDriver protocol.
async function browser(port = 9516) {
  const driver = spawn("chromedriver", [`--port=${port}`], { stdio: "ignore" });
  let session = `http://127.0.0.1:${port}/session`;
  const post = async (path, body) => {
    const answer = await fetch(session + path, { method: "POST", body: JSON.stringify(body) });
    return (await answer.json()).value;
  };
  const args = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"];
  const wanted = { capabilities: { alwaysMatch: { "goog:chromeOptions": { args } } } };
  for (let left = 100; ; left -= 1) {
    try {
      session += `/${(await post("", wanted)).sessionId}`;
      break;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(100);
    }
  }
  const element = async (css) => {
    const found = await post("/element", { using: "css selector", value: css });
    return `/element/${Object.values(found)[0]}`;
  };
  // Fills in the test card on the page behind the link.
  const pays = async (url) => {
    await post("/url", { url });
    const card = { cardholder_name: "Aisyah Rahman", card_number: "4444333322221111", expires: "12/30", cvc: "123" };
    for (const [field, text] of Object.entries(card)) {
      await post(`${await element(`input[name=${field}]`)}/value`, { text });
    }
    await post(`${await element("form button")}/click`, {});
  };
  const close = async () => {
    await fetch(session, { method: "DELETE" });
    driver.kill();
  };
  return { pays, close };
}

// Asks for what the guest has to agree to, and has the guest do so.
async function asks(type, guest, more) {
  const customer = { email: "guest@example.com" };
  const body = { v: 1, type, account: "hotel", customer, ...more };
  const payment = await call("POST", "/v1/payments?wait=10s", body, type);
  console.log(`${type}: ${payment.id} is ${payment.state}`);
  await guest.pays(payment.checkout_url);
  return payment.id;
}

function expect(amount, taken) {
  if (taken?.amount !== amount) throw new Error(`${amount} was to be taken, not ${taken?.amount}`);
}

await new Promise((resolve) => receiver.listen(Number(EVENTS_PORT), "127.0.0.1", resolve));
const guest = await browser();
try {
  const deposit = await asks("authorize", guest, {
    money: { amount: 45000, currency: "MYR" },
    source: { checkout: {} },
  });
  await hears("payment.held", deposit);
  await call("POST", `/v1/payments/${deposit}/capture`, { amount: 30000 }, "capture");
  expect(30000, (await hears("payment.paid", deposit)).taken);
  const card = await asks("save_card", guest, {});
  await hears("payment.saved", card);
  const { token } = await call("GET", `/v1/payments/${card}`);
  const push = fileURLToPath(new URL("push.mjs", import.meta.url));
  const env = { ...process.env, CARD_TOKEN: token, KEY: `minibar-${run}` };
  const told = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [push], { env, stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    child.stdout.on("data", (part) => (out += part));
    child.on("close", (code) => (code === 0 ? resolve(out) : reject(new Error(`push.mjs: ${code}`))));
  });
  const [outcome, charge] = told.trim().split(" ");
  if (outcome !== "recorded") throw new Error(told);
  expect(1500, (await hears("payment.paid", charge)).taken);
  console.log("done");
} finally {
  await guest.close();
  receiver.close();
  receiver.closeAllConnections();
}
