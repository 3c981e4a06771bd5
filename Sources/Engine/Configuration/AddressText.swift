// Addresses as text: listeners and URLs. Syntax only; whether an address may be used is decided
// where it is used.
import FastPath
import Foundation

package enum AddressText {
    /// `HOST:PORT`, `[V6]:PORT` or `unix:PATH`.
    package static func isListener(_ text: String) -> Bool {
        if text.hasPrefix("unix:") { return (1...107).contains(text.utf8.count - 5) }
        return host(of: text) != nil
    }
    /// Host and port, brackets taken off; nil when it is not of the form.
    package static func host(of text: String) -> (host: String, port: Int)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard isVersion6(String(host)) else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }) else { return nil }
        return (String(host), Int(port))
    }
    package static func text(host: String, port: Int) -> String {
        (host.contains(":") ? "[\(host)]" : host) + ":\(port)"
    }
    /// Where this machine asks for what listens there: every address is asked for at loopback.
    package static func nearby(_ host: String) -> String { ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host }
    /// Nil when requests can be sent to this URL; else what is wrong. Messages have `shown`, the text before variables
    /// were replaced.
    package static func problem(ofURL url: String, shown text: String) -> String? {
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let url = URLComponents(string: url),
            let scheme = url.scheme
        else { return "`\(text)` is not a URL such as http://127.0.0.1:9000/hooks" }
        if scheme.lowercased() == "https" {
            return "`\(text)`: https:// is not supported here yet; send to the http:// port behind the TLS proxy"
        }
        guard scheme.lowercased() == "http" else {
            return "`\(scheme)://` is not supported; use http://HOST[:PORT]/PATH"
        }
        guard let host = url.host, !host.isEmpty else { return "`\(text)` names no host" }
        if url.user != nil || url.password != nil {
            return "user and password in a URL are not supported; use `secret`"
        }
        if url.fragment != nil { return "`\(text)` has a fragment (#…), which is never sent; take it out" }
        return nil
    }
    package static func isVersion4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { $0.count <= 3 && $0.first != "+" && UInt8($0) != nil }
    }
    package static func isVersion6(_ text: String) -> Bool {
        let halves = text.components(separatedBy: "::")
        guard halves.count <= 2, !text.isEmpty else { return false }
        var groups = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let parts = half.components(separatedBy: ":")
            for (place, part) in parts.enumerated() {
                if index == halves.count - 1, place == parts.count - 1, isVersion4(part) {
                    groups += 2
                } else if (1...4).contains(part.count), part.allSatisfy(\.isHexDigit) {
                    groups += 1
                } else {
                    return false
                }
            }
        }
        return halves.count == 2 ? groups < 8 : groups == 8
    }
}
