// One X.509 certificate, and whether a chain leads from it to a root that is trusted. Worker threads only.
//
// Invariants: what a certificate says of itself (names, dates) means nothing until its chain was checked, or it was
// pinned, or it came over a connection that proves where from; who calls decides which.
// Safety: the class owns its X509 and frees it once; pointers into arrays live for one call.

import CShims

@safe package final class Certificate: @unchecked Sendable {
    private let certificate: OpaquePointer
    /// In one text; a chain longer than this is none that a provider shows.
    package static let countMax = 10

    private init(owning certificate: OpaquePointer) { unsafe self.certificate = unsafe certificate }
    deinit { unsafe sluice_certificate_free(certificate) }

    /// All certificates of a PEM text in their order, at most `countMax`; empty when it has none.
    package static func all(inPEM text: String) -> [Certificate] {
        let bytes = Array(text.utf8)
        var found: [Certificate] = []
        while found.count < countMax, let next = unsafe sluice_certificate_pem(bytes, bytes.count, found.count) {
            unsafe found.append(Certificate(owning: next))
        }
        return found
    }

    package func publicKey(for algorithm: PublicKeyAlgorithm) throws(PublicKeyError) -> PublicKey {
        guard let key = unsafe sluice_certificate_key(certificate) else {
            throw .wrongForm(wanted: "a certificate of \(algorithm.publicForms)")
        }
        return unsafe try PublicKey(owning: key, for: algorithm)
    }

    /// True exactly when its key is an RSA key.
    package var isRSA: Bool {
        guard let key = unsafe sluice_certificate_key(certificate) else { return false }
        defer { unsafe sluice_key_free(key) }
        return unsafe sluice_key_kind(key) == Int32(bitPattern: SLUICE_KEY_RSA.rawValue)
    }

    /// The DNS names of the subject alternative name; the common name only where there are none (RFC 6125 §6.4.4).
    package var names: [String] {
        var found: [String] = []
        while found.count < 100, let name = name(at: Int32(found.count + 1)) { found.append(name) }
        if found.isEmpty, let name = name(at: 0) { found.append(name) }
        return found.filter { !$0.isEmpty }
    }
    private func name(at index: Int32) -> String? {
        var isPresent = true
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
            let length = unsafe buffer.withMemoryRebound(to: CChar.self) {
                unsafe sluice_certificate_name(certificate, index, $0.baseAddress, $0.count)
            }
            isPresent = length >= 0
            count = length > 0 && length <= buffer.count ? Int(length) : 0
        }
        return isPresent ? String(decoding: bytes, as: UTF8.self).lowercased() : nil
    }

    package func isValid(atSeconds seconds: UInt64) -> Bool {
        unsafe sluice_certificate_age(certificate, Int64(clamping: seconds)) == 0
    }

    /// True exactly when a chain leads over `between` to one of `roots` (nil: the system's store) and all of it is
    /// valid at that time.
    package func isTrusted(between: [Certificate], roots: [Certificate]?, atSeconds seconds: UInt64) -> Bool {
        let untrusted = unsafe between.map { unsafe Optional($0.certificate) }
        let time = Int64(clamping: seconds)
        return withExtendedLifetime((between, roots)) {
            guard let roots else {
                return unsafe sluice_certificate_chain(certificate, untrusted, untrusted.count, nil, 0, time) == 1
            }
            let trusted = unsafe roots.map { unsafe Optional($0.certificate) }
            guard unsafe !trusted.isEmpty else { return false }
            return unsafe sluice_certificate_chain(
                certificate, untrusted, untrusted.count, trusted, trusted.count, time) == 1
        }
    }
}
