// `listen` and `admin`: addresses, or addresses with the files of their TLS.
import Engine
import Yams

extension ConfigurationKeys {
    static var listen: ConfigurationKey<GatewayConfiguration> {
        let initial = GatewayConfiguration().process.listen.joined(separator: ", ")
        let whole = KeyDescription(path: "", form: "list of text or mappings", initial: initial, range: "")
        let nested = item.flatMap { $0.descriptions(prefix: "[].") }
        return ConfigurationKey(name: "listen", form: "list", nested: [whole] + nested) { node, root, reading in
            let listeners = readItems(node, reading) { read($0, key: "listen", reading) }
            root.process.listen = listeners.map(\.address)
            let secured = listeners.filter(\.hasTLS)
            for listener in secured { root.process.listenTLS[listener.address] = listener.tls }
            noteContents(&root)
        }
    }
    static var admin: ConfigurationKey<GatewayConfiguration> {
        let initial = GatewayConfiguration().process.admin
        let whole = KeyDescription(path: "", form: "text or mapping", initial: initial, range: "")
        let nested = item.flatMap { $0.descriptions(prefix: ".") }
        return ConfigurationKey(name: "admin", form: "text or mapping", nested: [whole] + nested) {
            node, root, reading in
            guard let listener = read(node, key: "admin", reading) else { return }
            root.process.admin = listener.address
            root.process.adminTLS = listener.hasTLS ? listener.tls : nil
            noteContents(&root)
        }
    }
    /// Of the files of all listeners, whichever key comes last.
    private static func noteContents(_ root: inout GatewayConfiguration) {
        let process = root.process
        let all = process.listen.compactMap { process.listenTLS[$0] } + [process.adminTLS].compactMap(\.self)
        if !all.isEmpty { root.live.certificateContents = PEMFile.digest(all.flatMap(\.paths)) }
    }

    private struct Listener: Sendable {
        var address = ""
        var tls = ListenerTLS()
        var first = ListenerTLS.Identity()
        /// `tls` puts `first` among them, whatever is wrong with it.
        var hasTLS: Bool { !tls.identities.isEmpty }
    }
    private static func read(_ node: Node, key: String, _ reading: ConfigurationReading) -> Listener? {
        var listener = Listener()
        guard node.mapping != nil else {
            return reading.text(node, key: key).map {
                listener.address = $0
                return listener
            }
        }
        readMapping(node, into: &listener, keys: item, called: "a listener", reading)
        return listener.address.isEmpty ? nil : listener
    }
    private static let item: [ConfigurationKey<Listener>] = [
        ConfigurationKey<Listener>.text("address", \.address, of: Listener()).required,
        ConfigurationKey(
            name: "tls", form: "mapping", nested: tls.flatMap { $0.descriptions(prefix: ".") }
        ) { node, listener, reading in
            readMapping(node, into: &listener, keys: tls, called: "`tls`", reading)
            listener.tls.identities.insert(listener.first, at: 0)
        },
    ]
    private static let tls: [ConfigurationKey<Listener>] = [
        ConfigurationKey<Listener>.path("certificate", \.first.certificate, of: Listener()).required,
        .optionalPath("key", \.first.key),
        .optionalPath("client_ca", \.tls.clientAuthorities), .optionalPath("client_crl", \.tls.clientRevoked),
        ConfigurationKey(
            name: "certificates", form: "list", nested: identity.flatMap { $0.descriptions(prefix: "[].") }
        ) { node, listener, reading in
            listener.tls.identities += readItems(node, reading) { item in
                var one = ListenerTLS.Identity()
                readMapping(item, into: &one, keys: identity, called: "a certificate", reading)
                return one.certificate.isEmpty ? nil : one
            }
        },
    ]
    private static let identity: [ConfigurationKey<ListenerTLS.Identity>] = [
        ConfigurationKey<ListenerTLS.Identity>.path("certificate", \.certificate, of: ListenerTLS.Identity()).required,
        .optionalPath("key", \.key),
    ]
}
