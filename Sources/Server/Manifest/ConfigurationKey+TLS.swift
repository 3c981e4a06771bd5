// The files of an https endpoint: an authority of its own, a certificate to show, a list of revoked certificates. And
// what a source demands of its clients' certificates.
import Engine
import Yams

extension ConfigurationKey<EndpointConfiguration> {
    static var endpointTLS: ConfigurationKey {
        let keys: [ConfigurationKey<EndpointTLS>] = [
            .optionalPath("ca", \.authorities), .optionalPath("certificate", \.certificate),
            .optionalPath("key", \.key), .optionalPath("crl", \.revoked),
        ]
        return ConfigurationKey(
            name: "tls", form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, endpoint, reading in
            var tls = EndpointTLS()
            readMapping(node, into: &tls, keys: keys, called: "`tls`", reading)
            guard !tls.isEmpty else { return }
            tls.noteContents()
            endpoint.tls = tls
        }
    }
}

extension ConfigurationKey<SourceConfiguration> {
    static var clientCertificate: ConfigurationKey {
        let initial = ClientCertificateConfiguration()
        let keys: [ConfigurationKey<ClientCertificateConfiguration>] = [
            .optionalPath("ca", \.authorities), .texts("names", \.names, of: initial),
            .texts("fingerprints", \.fingerprints, of: initial),
        ]
        return ConfigurationKey(
            name: "client_certificate", form: "mapping", nested: keys.flatMap { $0.descriptions(prefix: ".") }
        ) { node, source, reading in
            var demanded = initial
            readMapping(node, into: &demanded, keys: keys, called: "`client_certificate`", reading)
            demanded.noteContents()
            source.clientCertificate = demanded
        }
    }
}

extension ConfigurationKey {
    /// A path of the file system, relative to the file's folder.
    static func optionalPath(_ name: String, _ place: SettingKeyPath<Root, String?>) -> ConfigurationKey {
        ConfigurationKey(name: name, form: "path") { node, root, reading in
            if let value = reading.text(node, key: name) { root[keyPath: place] = reading.resolve(path: value) }
        }
    }
}
