#!/usr/bin/env python3
"""Tokens of an identity provider at the control listener: who is let in with which, and that nothing forged is.

The provider is PyJWT and `cryptography`; its key set is a file, and an HTTPS server's answer."""

import base64
import hashlib
import hmac
import json
import os
import tempfile
import time

import supportpath  # noqa: F401  (puts the shared modules on the path)
from report import Report, arguments, one_line
from serverutil import Gateway, open_source, platform_key, request, sluice

try:
    import jwt
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
except ImportError:
    jwt = None

ISSUER, AUDIENCE = "https://id.example", "sluice"


def pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def bare(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """Three keys, and what they sign."""

    KINDS = {"ed": "EdDSA", "ec": "ES256", "rsa": "RS256"}

    def __init__(self):
        self.keys = {
            "ed": ed25519.Ed25519PrivateKey.generate(), "ec": ec.generate_private_key(ec.SECP256R1()),
            "rsa": rsa.generate_private_key(65537, 2048),
        }

    def jwks(self, names=("ed", "ec", "rsa")):
        algorithms = {"EdDSA": jwt.algorithms.OKPAlgorithm, "ES256": jwt.algorithms.ECAlgorithm,
                      "RS256": jwt.algorithms.RSAAlgorithm}
        entries = []
        for name in names:
            kind = self.KINDS[name]
            entry = json.loads(algorithms[kind].to_jwk(self.keys[name].public_key()))
            entries.append({**entry, "kid": name, "use": "sig", "alg": kind})
        # Others that a set may have: none of them is taken, none makes it wrong.
        entries.append({"kty": "oct", "kid": "shared", "k": bare(b"k" * 32)})
        entries.append({"kty": "EC", "crv": "P-384", "kid": "other", "x": "AA", "y": "AA"})
        return json.dumps({"keys": entries})

    def token(self, name="ed", key=None, headers=None, algorithm=None, without=(), **claims):
        now = int(time.time())
        all_claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300,
                      "tenant": "acme", "role": "admin", **claims}
        for gone in without:
            all_claims.pop(gone)
        given = {"kid": name, **(headers or {})}
        given = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(all_claims, key or self.keys[name], algorithm or self.KINDS[name], given)


def by_hand(head, claims, sign):
    """A token that no library would make; `sign` takes what is signed."""
    signed = f"{bare(head.encode())}.{bare(claims.encode())}"
    return f"{signed}.{bare(sign(signed.encode()))}"


class Bench:
    def __init__(self, identity):
        self.gateway = Gateway([open_source("in")], [], identity=identity, delivery={"allow": ["127.0.0.0/8"]})

    def __enter__(self):
        self.gateway.__enter__()
        self.key = platform_key(self.gateway.admin_port)
        for uid in ("acme", "rival"):
            status, text = self.call("POST", "/api/v1/tenants", self.key, {"name": f"{uid}-ltd", "uid": uid})
            assert status == 201, text
        return self

    def __exit__(self, *error):
        return self.gateway.__exit__(*error)

    def call(self, method, path, token, body=None):
        fields = {"X-Sluice-Request": "1", "Authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body)
        status, _, text = request(self.gateway.admin_port, path, data, fields, method)
        return status, text.decode()


def let_in(report, bench, provider):
    with report.case("each algorithm's token is let in as its tenant and role"):
        for name in provider.KINDS:
            status, text = bench.call("GET", "/api/v1/tenants", provider.token(name))
            assert status == 200 and [one["uid"] for one in json.loads(text)["items"]] == ["acme"], text
        viewer = provider.token(role="viewer")
        assert bench.call("GET", "/api/v1/endpoints", viewer)[0] == 200
        made = bench.call("POST", "/api/v1/endpoints", viewer, {"name": "a", "url": "http://127.0.0.1:9/a"})
        assert made[0] == 403, made
        made = bench.call("POST", "/api/v1/endpoints", provider.token(), {"name": "a", "url": "http://127.0.0.1:9/a"})
        assert made[0] == 201, made
        assert bench.call("GET", "/api/v1/endpoints", provider.token(tenant="rival"))[1].count("ep_") == 0
    with report.case("a token that names no key is tried with those of its kind; an audience may be one of several"):
        token = provider.token("ec", headers={"kid": None}, aud=["other", AUDIENCE])
        assert bench.call("GET", "/api/v1/endpoints", token)[0] == 200
    with report.case("the audit log names the bearer, and a subject of any text is one word of it"):
        token = provider.token(sub="eve\r\nX: y %41 ü")
        made = bench.call("POST", "/api/v1/endpoints", token, {"name": "b", "url": "http://127.0.0.1:9/b"})
        assert made[0] == 201, made
        listed = bench.call("GET", "/api/v1/audit", bench.key)[1]
        assert "jwt:eve%0D%0AX:%20y%20%2541%20%C3%BC" in listed, one_line(listed)
    with report.case("it is the platform that makes tenants and keys, whatever a token says"):
        for role in ("admin", "platform"):
            answer = bench.call("POST", "/api/v1/tenants", provider.token(role=role), {"name": "x"})
            assert answer[0] in (401, 403), answer


def forged(provider):
    """(what, token): none of them is let in."""
    now = int(time.time())
    good = provider.token()
    head, claims, signature = good.split(".")
    other = Provider()
    plain = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "tenant": "acme", "role": "admin"}
    text = json.dumps(plain)
    sign = provider.keys["ed"].sign
    yield "alg none", by_hand('{"alg":"none"}', text, lambda _: b"")
    yield "alg None with a signature", by_hand('{"alg":"None","kid":"ed"}', text, sign)
    yield "no alg", by_hand('{"kid":"ed"}', text, sign)
    for name in ("rsa", "ec", "ed"):
        secret = pem(provider.keys[name])
        yield f"HS256 with the public key of {name}", by_hand(
            json.dumps({"alg": "HS256", "kid": name}), text,
            lambda signed, secret=secret: hmac.new(secret, signed, hashlib.sha256).digest())
    yield "HS256 with a key of the set", by_hand(
        '{"alg":"HS256","kid":"shared"}', text, lambda signed: hmac.new(b"k" * 32, signed, hashlib.sha256).digest())
    yield "RS512 of a right key", provider.token("rsa", algorithm="RS512")
    yield "PS256 of a right key", provider.token("rsa", algorithm="PS256")
    yield "another provider's key", other.token()
    yield "another provider's key under ours", other.token(key=other.keys["ed"])
    yield "a key id that is none", provider.token(headers={"kid": "nobody"})
    yield "a key id of another algorithm's key", provider.token("ed", headers={"kid": "ec"})
    yield "a key id with a path", provider.token(headers={"kid": "../../../../dev/null"})
    yield "a key id with SQL", provider.token(headers={"kid": "x' UNION SELECT 'k"})
    yield "jku", other.token(headers={"kid": "x", "jku": "http://127.0.0.1:1/jwks"})
    own = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(other.keys["ed"].public_key()))
    yield "jwk in the header", other.token(headers={"kid": "x", "jwk": own})
    yield "jwk in the header under our key id", other.token(headers={"jwk": own})
    yield "crit", provider.token(headers={"crit": ["exp"]})
    yield "expired", provider.token(exp=now - 120)
    yield "no end", provider.token(without=["exp"])
    yield "an end in words", by_hand('{"alg":"EdDSA","kid":"ed"}', json.dumps({**plain, "exp": "never"}), sign)
    yield "an end beyond numbers", by_hand(
        '{"alg":"EdDSA","kid":"ed"}', text.replace(str(now + 300), "1" + "0" * 40), sign)
    yield "not yet", provider.token(nbf=now + 600)
    yield "issued tomorrow", provider.token(iat=now + 86_400)
    yield "another audience", provider.token(aud="else")
    yield "no audience", provider.token(without=["aud"])
    yield "another issuer", provider.token(iss=ISSUER + "/")
    yield "no issuer", provider.token(without=["iss"])
    yield "no tenant", provider.token(without=["tenant"])
    yield "a tenant that is none", provider.token(tenant="nobody")
    yield "a tenant by its name", provider.token(tenant="acme-ltd")
    yield "a list of tenants", provider.token(tenant=["acme", "rival"])
    yield "a role that is none", provider.token(role="root")
    yield "no subject", provider.token(without=["sub"])
    yield "a role twice", by_hand(
        '{"alg":"EdDSA","kid":"ed"}', text[:-1] + ',"role":"viewer"}', sign)
    yield "alg twice", by_hand('{"alg":"EdDSA","alg":"none","kid":"ed"}', text, sign)
    yield "changed claims", f"{head}.{bare(text.replace('acme', 'rival').encode())}.{signature}"
    yield "no signature", f"{head}.{claims}."
    yield "a signature that is cut", good[:-4]
    yield "a signature with padding", good + "=="
    yield "four parts", good + ".x"
    yield "an ES256 signature in DER", by_hand(
        '{"alg":"ES256","kid":"ec"}', text,
        lambda signed: provider.keys["ec"].sign(signed, ec.ECDSA(jwt.algorithms.ECAlgorithm.SHA256())))
    yield "an ES256 signature of zeros", by_hand('{"alg":"ES256","kid":"ec"}', text, lambda _: bytes(64))
    yield "an encrypted token's form", "a.b.c.d.e"
    yield "20,000 bytes", provider.token(more="x" * 20_000)


def refused(report, bench, provider):
    with report.case("nothing forged, broken or of somebody else is let in") as notes:
        count = 0
        for what, token in forged(provider):
            status, text = bench.call("GET", "/api/v1/endpoints", token)
            # From one address so many that the limit is reached.
            assert status in (401, 429, 431), f"{what}: {status} {one_line(text)}"
            for part in token.split("."):
                assert len(part) < 20 or part not in text, f"{what}: the answer shows the token"
            count += 1
        notes.append(f"{count} tokens")
        assert count >= 25
        assert bench.call("GET", "/api/v1/endpoints", provider.token())[0] == 200, "a right one is let in after all"
    with report.case("a tenant that is removed takes its tokens along"):
        token = provider.token(tenant="rival")
        assert bench.call("GET", "/api/v1/endpoints", token)[0] == 200
        assert bench.call("DELETE", "/api/v1/tenants/rival", bench.key)[0] == 204
        assert bench.call("GET", "/api/v1/endpoints", token)[0] in (401, 429)


def changed(report, bench, provider, path):
    with report.case("a reload takes the keys that the file has now, and keeps the old ones where it has none"):
        ed, ec_token = provider.token("ed"), provider.token("ec")
        with open(path, "w") as file:
            file.write(provider.jwks(["ec"]))
        done = sluice("reload", "--admin", f"127.0.0.1:{bench.gateway.admin_port}")
        assert done.returncode == 0, done.stderr
        assert bench.call("GET", "/api/v1/endpoints", ec_token)[0] == 200
        assert bench.call("GET", "/api/v1/endpoints", ed)[0] in (401, 429), "its key is gone"
        for text, reason in (("{}", "holds no JWK set"), (provider.jwks([]), "holds no key that verifies")):
            with open(path, "w") as file:
                file.write(text)
            done = sluice("reload", "--admin", f"127.0.0.1:{bench.gateway.admin_port}")
            said = done.stdout + done.stderr
            assert done.returncode != 0 and reason in said, said
            assert os.path.dirname(path) not in said, said
        assert bench.call("GET", "/api/v1/endpoints", ec_token)[0] == 200


def shared_secret(report):
    secret = "s" * 32
    with report.case("HS256 with a secret of the configuration; other algorithms are refused beside it"):
        identity = {"issuer": ISSUER, "audience": AUDIENCE, "secret": secret, "role_claim": "https://a.example/role"}
        with Bench(identity) as bench:
            provider = Provider()
            more = {"https://a.example/role": "operator"}
            right = provider.token(key=secret, algorithm="HS256", **more)
            assert bench.call("GET", "/api/v1/endpoints", right)[0] == 200
            for token in (provider.token("ed", **more), provider.token(key="t" * 32, algorithm="HS256", **more)):
                assert bench.call("GET", "/api/v1/endpoints", token)[0] == 401


def main():
    arguments(__doc__)
    report = Report("identity")
    if jwt is None:
        report.skip("tokens of an identity provider", "PyJWT and cryptography are not installed")
        report.finish()
    with tempfile.TemporaryDirectory(prefix="sluice-identity-") as folder:
        path = os.path.join(folder, "jwks.json")
        provider = Provider()
        with open(path, "w") as file:
            file.write(provider.jwks())
        with Bench({"issuer": ISSUER, "audience": [AUDIENCE, "sluice-2"], "keys": path}) as bench:
            let_in(report, bench, provider)
            refused(report, bench, provider)
            changed(report, bench, provider, path)
    shared_secret(report)
    report.finish()


if __name__ == "__main__":
    main()
