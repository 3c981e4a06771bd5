// The address of a certificate, taken apart so strictly that only one reading is left: an https URL of a host that the
// provider is known to use, with the path that its certificates have. Whoever could choose the host could sign
// anything; whoever could choose the path could have anything fetched.

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

    /// `sns.REGION.amazonaws.com`, in China with `.cn` behind it, and `/SimpleNotificationService-` with 32 lower-case
    /// hexadecimal digits and `.pem`: the only addresses that the service signs from. Whatever else stands under
    /// `amazonaws.com` may be anybody's, as a bucket of S3 is.
    var isNotificationService: Bool {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count >= 4, labels[0] == "sns", labels[2] == "amazonaws", labels[3] == "com",
            PinnedURL.isRegion(labels[1])
        else { return false }
        let isChinese = labels[1].hasPrefix("cn-")
        guard labels.count == (isChinese ? 5 : 4), !isChinese || labels[4] == "cn" else { return false }
        let start = "/SimpleNotificationService-"
        let end = ".pem"
        guard path.hasPrefix(start), path.hasSuffix(end), path.utf8.count == start.utf8.count + 32 + end.utf8.count
        else { return false }
        return path.utf8.dropFirst(start.utf8.count).dropLast(end.utf8.count).allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x61...0x66: true
            default: false
            }
        }
    }
    /// `eu-west-1`, `us-gov-east-1`: two letters, one or more words of letters, a number of one or two digits.
    private static func isRegion(_ label: Substring) -> Bool {
        let words = label.split(separator: "-", omittingEmptySubsequences: false)
        guard words.count >= 3, words[0].utf8.count == 2, let number = words.last else { return false }
        let areWords = words.dropLast().allSatisfy { word in
            word.utf8.count >= 2 && word.utf8.allSatisfy { $0 >= 0x61 && $0 <= 0x7A }
        }
        return areWords && (1...2).contains(number.utf8.count)
            && number.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }
    /// `/v1/notifications/certs/CERT-…` of the API or of its sandbox.
    var isPayPal: Bool {
        guard host == "api.paypal.com" || host == "api.sandbox.paypal.com" else { return false }
        let start = "/v1/notifications/certs/CERT-"
        guard path.hasPrefix(start), path.utf8.count > start.utf8.count else { return false }
        return path.utf8.dropFirst(start.utf8.count).allSatisfy { byte in
            switch byte {
            case 0x61...0x7A, 0x41...0x5A, 0x30...0x39, 0x2D: true
            default: false
            }
        }
    }
}
