"""Asks for a payment by pushing to Redis: pip install redis cryptography; python push.py

Needs REDIS_URL, CARD_TOKEN, and KEY, which names the payment; to sign, SIGNING_KEY (a file) and KID.
"""
import base64, hashlib, json, os, sys, time, uuid
import redis
from cryptography.hazmat.primitives.serialization import load_pem_private_key

request = json.dumps({"v": 1, "type": "charge", "account": "hotel", "token": os.environ["CARD_TOKEN"],
                      "idempotency_key": os.environ["KEY"], "customer": {"email": "guest@example.com"},
                      "money": {"amount": 1500, "currency": "MYR"}, "push": str(uuid.uuid4())}).encode()
if pem := os.environ.get("SIGNING_KEY"):  # a file in PEM; without one it is pushed as it is
    b64 = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=")
    header = {"alg": "EdDSA", "kid": os.environ["KID"], "iat": int(time.time())}
    head = b64(json.dumps(header).encode()) + b"." + b64(request)
    request = head + b"." + b64(load_pem_private_key(open(pem, "rb").read(), None).sign(head))

store = redis.Redis.from_url(os.environ["REDIS_URL"])
store.rpush("{hf:0}:intake", request)
store.publish("hf:wake", "")
for _ in range(400):  # 20 seconds
    if answer := store.get("{hf:0}:answer:hotel:" + hashlib.sha256(request).hexdigest()):
        break
    time.sleep(0.05)
else:
    sys.exit("no answer yet; ask again under the same idempotency_key")
answer = json.loads(answer)
print(answer["outcome"], answer.get("problem", answer.get("payment"))["code" if "problem" in answer else "id"])
