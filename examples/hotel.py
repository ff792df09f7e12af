"""A hotel: holds a deposit in the guest's browser and captures it, saves a card and charges it.

Needs HOLDFAST_API and HOLDFAST_KEY; EVENTS_PORT and EVENTS_SECRET of an endpoint in Holdfast's
settings; and for the charge what push.py needs. The guest is a headless Chromium.
"""
import base64, hashlib, hmac, http.server, json, os, queue, subprocess, sys, threading, time
import urllib.request

RUN = f"{int(time.time())}-{os.getpid()}"
SECRET = base64.b64decode(os.environ["EVENTS_SECRET"].removeprefix("whsec_"))
GUEST = {"email": "guest@example.com"}


def call(method, path, body=None, key=None):
    """Asks Holdfast. With the same key it is safe to ask again, whatever became of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(os.environ["HOLDFAST_API"] + path, data, method=method)
    request.add_header("Authorization", "Bearer " + os.environ["HOLDFAST_KEY"])
    request.add_header("Content-Type", "application/json")
    if key:
        request.add_header("Idempotency-Key", f"{key}-{RUN}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Events(http.server.BaseHTTPRequestHandler):
    """Takes events that are signed by Standard Webhooks, each once."""

    seen, heard = set(), queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = hmac.digest(SECRET, f"{name}.{at}.".encode() + body, hashlib.sha256)
        expected = "v1," + base64.b64encode(signed).decode()
        given = self.headers["webhook-signature"].split(" ")
        genuine = any(hmac.compare_digest(expected, one) for one in given)
        if not genuine or abs(time.time() - int(at)) > 300:
            return self.answer(400)
        if name not in self.seen:
            self.seen.add(name)
            self.heard.put(json.loads(body))
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


def hears(kind, payment):
    """Waits for an event of a payment."""
    until = time.time() + 60
    while time.time() < until:
        event = Events.heard.get(timeout=60)
        if event["type"] == kind and event["data"]["payment"] == payment:
            print(f"heard {kind} of {payment}")
            return event["data"]
    sys.exit(f"{kind} of {payment} was not heard")


class Browser:
    """The guest's browser, by the WebDriver protocol."""

    def __init__(self, port=9515):
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        self.at = f"http://127.0.0.1:{port}/session"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        for _ in range(100):
            try:
                self.at += "/" + self.post("", wanted)["sessionId"]
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("chromedriver does not answer")

    def post(self, path, body):
        request = urllib.request.Request(self.at + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def element(self, css):
        found = self.post("/element", {"using": "css selector", "value": css})
        return "/element/" + next(iter(found.values()))

    def pays(self, url):
        """Fills in the test card on the page behind the link."""
        self.post("/url", {"url": url})
        card = {"cardholder_name": "Aisyah Rahman", "card_number": "4444333322221111",
                "expires": "12/30", "cvc": "123"}
        for field, text in card.items():
            self.post(self.element(f"input[name={field}]") + "/value", {"text": text})
        self.post(self.element("form button") + "/click", {})

    def close(self):
        urllib.request.urlopen(urllib.request.Request(self.at, method="DELETE"), timeout=60).close()
        self.driver.terminate()
        self.driver.wait()


def asks(kind, browser, **more):
    """Asks for what the guest has to agree to, and has the guest do so."""
    body = {"v": 1, "type": kind, "account": "hotel", "customer": GUEST, **more}
    payment = call("POST", "/v1/payments?wait=10s", body, key=kind)
    print(f"{kind}: {payment['id']} is {payment['state']}")
    browser.pays(payment["checkout_url"])
    return payment["id"]


def main():
    address = ("127.0.0.1", int(os.environ["EVENTS_PORT"]))
    server = http.server.ThreadingHTTPServer(address, Events)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = Browser()
    try:
        deposit = asks("authorize", browser, money={"amount": 45000, "currency": "MYR"},
                       source={"checkout": {}})
        hears("payment.held", deposit)
        call("POST", f"/v1/payments/{deposit}/capture", {"amount": 30000}, key="capture")
        assert hears("payment.paid", deposit)["taken"]["amount"] == 30000
        card = asks("save_card", browser)
        hears("payment.saved", card)
    finally:
        browser.close()
    token = call("GET", f"/v1/payments/{card}")["token"]
    push = os.path.join(os.path.dirname(os.path.abspath(__file__)), "push.py")
    env = {**os.environ, "CARD_TOKEN": token, "KEY": f"minibar-{RUN}"}
    told = subprocess.run([sys.executable, push], env=env, capture_output=True, text=True, timeout=60)
    outcome, charge = told.stdout.split()
    assert outcome == "recorded", told
    assert hears("payment.paid", charge)["taken"]["amount"] == 1500
    print("done")


main()
