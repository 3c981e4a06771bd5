// The keys of certificates that go by a name.
import Engine
import Yams

extension ConfigurationKeys {
    static let namedCertificates = ConfigurationKey<GatewayConfiguration>(
        name: NamedCertificate.listKey, form: "list", nested: keys.flatMap { $0.descriptions(prefix: "[].") }
    ) { node, root, reading in
        if node.scalar?.string.isEmpty == true { return }
        guard node.sequence != nil else {
            return reading.report(
                node, "`\(NamedCertificate.listKey)` takes a list: each certificate begins with `- name: …`")
        }
        root.live.namedCertificates = readItems(node, reading) { item in
            var certificate = NamedCertificate()
            readMapping(item, into: &certificate, keys: keys, called: "certificate", reading)
            certificate.tls.noteContents()
            return certificate
        }
    }
    private static let keys: [ConfigurationKey<NamedCertificate>] = [
        .text("name", \.name, of: NamedCertificate()).required, .text("tenant", \.tenant, of: NamedCertificate()),
        .optionalPath("certificate", \.tls.certificate).required, .optionalPath("key", \.tls.key),
        .optionalPath("ca", \.tls.authorities), .optionalPath("crl", \.tls.revoked),
    ]
}
