"""Receives Holdfast's events: EVENTS_SECRET=whsec_… python3 receive.py [port]"""
import base64, hashlib, hmac, http.server, json, os, sys, time

SECRET = base64.b64decode(os.environ["EVENTS_SECRET"].removeprefix("whsec_"))
SEEN = set()  # a real receiver keeps the ids, in the transaction in which it acts on the event


class Events(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = hmac.digest(SECRET, f"{name}.{at}.".encode() + body, hashlib.sha256)
        expected = "v1," + base64.b64encode(signed).decode()
        given = self.headers["webhook-signature"].split(" ")
        genuine = any(hmac.compare_digest(expected, one) for one in given)
        if not genuine or abs(time.time() - int(at)) > 300:
            return self.answer(400)
        if name not in SEEN:
            SEEN.add(name)
            event = json.loads(body)
            print(event["type"], event["data"]["payment"], flush=True)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


port = int(sys.argv[1]) if len(sys.argv) > 1 else 9000
http.server.ThreadingHTTPServer(("127.0.0.1", port), Events).serve_forever()
