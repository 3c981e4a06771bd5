"""Certificates for the TLS suites: authorities that sign what real ones would not. Needs PyPI's cryptography, and the
openssl command for a signature that it refuses to make."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def new_key(kind="ec"):
    """A key of the kind: ec, p384, or rsa with its bits."""
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "p384":
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))


def name_of(text):
    """Without a text one without anything."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def alternative(text):
    if ":/" in text:
        return x509.UniformResourceIdentifier(text)
    if "@" in text:
        return x509.RFC822Name(text)
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Certificate:
    """A certificate with its key; `above` is what leads from it to its root, without the root."""

    def __init__(self, certificate, key, above=()):
        self.certificate, self.key, self.above = certificate, key, list(above)

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def chain_pem(self):
        return b"".join([self.pem] + [one.pem for one in self.above])

    @property
    def key_pem(self):
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def write(self, folder, name):
        """Writes NAME.pem (the chain) and NAME.key; returns both paths."""
        paths = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
        for path, data in zip(paths, (self.chain_pem, self.key_pem)):
            with open(path, "wb") as file:
                file.write(data)
        return paths


def make(subject, issuer=None, key=None, kind="ec", names=(), authority=False, purposes=(), begins=-2, ends=300,
         path_length=None, signs=True, permitted=None):
    """A certificate that `issuer` signed, or itself. `begins` and `ends` are days from now. `signs` says whether an
    authority's key usage allows it to sign; `authority=None` leaves the basic constraints out."""
    key = key or new_key(kind)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder().subject_name(name_of(subject))
        .issuer_name(issuer.certificate.subject if issuer else name_of(subject)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(NOW + begins * DAY)
        .not_valid_after(NOW + ends * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False))
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, path_length if authority else None), True)
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(True, False, False, False, False, signs, True, False, False), True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([alternative(one) for one in names]), False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), False)
    if permitted:
        builder = builder.add_extension(x509.NameConstraints([x509.DNSName(permitted)], None), True)
    above = [issuer] + issuer.above if issuer and issuer.certificate.issuer != issuer.certificate.subject else []
    return Certificate(builder.sign(signer, hashes.SHA256()), key, above)


def revocations(issuer, revoked, begins=-1, ends=300):
    """The issuer's list of revoked certificates in PEM."""
    builder = (
        x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
        .last_update(NOW + begins * DAY).next_update(NOW + ends * DAY))
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
