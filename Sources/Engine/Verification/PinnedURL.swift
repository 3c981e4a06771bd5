// The address of a certificate, taken apart so strictly that only one reading is left: an https URL of a host that the
// provider is known to use, with a plain path. Whoever could choose the host could sign anything.

struct PinnedURL: Hashable, Sendable {
    let host: String
    /// Begins with a slash; letters, digits, dot, dash and underscore between slashes.
    let path: String

    static let bytesMax = 512

    /// Nil for anything but `https://HOST/PATH`: no port, user, query, fragment, escape, upper-case host, empty or
    /// dotted segment.
    init?(_ text: String) {
        let scheme = "https://"
        guard text.utf8.count <= PinnedURL.bytesMax, text.hasPrefix(scheme) else { return nil }
        let rest = text.dropFirst(scheme.count)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        host = String(rest[..<slash])
        path = String(rest[slash...])
        guard !host.isEmpty, host.utf8.allSatisfy(PinnedURL.isHostByte), path.utf8.allSatisfy(PinnedURL.isPathByte)
        else { return nil }
        let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard segments.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return nil }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x30...0x39, 0x2D, 0x2E: true
        default: false
        }
    }
    private static func isPathByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x2D, 0x2E, 0x2F, 0x5F: true
        default: false
        }
    }

    /// `sns.REGION.amazonaws.com`, or `.com.cn` behind it, and a path that ends in `.pem`.
    var isNotificationService: Bool {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count == 4 || (labels.count == 5 && labels[4] == "cn"),
            labels[0] == "sns", labels[2] == "amazonaws", labels[3] == "com"
        else { return false }
        return labels[1].utf8.count >= 3 && !labels[1].hasPrefix("-") && path.hasSuffix(".pem")
    }
    var isPayPal: Bool { host == "api.paypal.com" || host == "api.sandbox.paypal.com" }
}
