// What a source demands of the certificate that a client shows, compiled, and whether one is it. The listener's
// authorities were asked in the handshake; this says which of their certificates a source takes.
//
// Invariants: everything that a rule names must fit, and of each list one entry; a name counts only as what it looks
// like, a URI as a URI and an address as an address, and in any case as the common name, whole. An authority is known
// by its certificate in the chain that the handshake has verified, so a rule never verifies a signature itself.
//
// Cost: some compares of 32 bytes and of names for each request of a source that has a rule; nothing for others.
// Safety: points into the `CompiledMemory` given at compilation; what is shown is valid while its session is.

import CShims

/// The certificate of a session's peer. Valid as long as the session.
@safe package struct PeerCertificate {
    private let facts: UnsafePointer<sluice_tls_peer>

    init(_ facts: UnsafePointer<sluice_tls_peer>) { unsafe self.facts = facts }
    /// Seconds since 1970.
    package var ends: Int64 { unsafe facts.pointee.ends }
    /// Its own SHA-256, then those of what it leads to.
    var chain: ByteView { unsafe ByteView(facts.pointee.chain, count: facts.pointee.chain_bytes) }
    var names: ByteView { unsafe ByteView(facts.pointee.names, count: facts.pointee.names_bytes) }
    /// Printable ASCII (RFC 2253); of a certificate without a subject its first other name.
    package var subject: ByteView { unsafe ByteView(facts.pointee.subject, count: facts.pointee.subject_bytes) }
    /// A copy of its SHA-256.
    package var fingerprint: [UInt8] {
        unsafe withUnsafeBytes(of: facts.pointee.fingerprint) { unsafe Array($0) }
    }
    @inline(__always) func hasFingerprint(_ print: ByteView) -> Bool {
        unsafe withUnsafeBytes(of: facts.pointee.fingerprint) { own in
            for index in 0..<CertificatePrint.byteCount where unsafe own[index] != print[index] { return false }
            return true
        }
    }
}

package enum CertificatePrint {
    package static var byteCount: Int { 32 }
    /// SHA-256 of each certificate in the PEM text. O(n²) in their number.
    package static func all(inPEM text: [UInt8]) throws(TLSSettingsError) -> [[UInt8]] {
        var prints: [[UInt8]] = []
        var result: Int32
        repeat {
            var print = [UInt8](repeating: 0, count: byteCount)
            result = unsafe sluice_tls_certificate_print(text, text.count, prints.count, &print)
            if result == SLUICE_PEM_READ.rawValue { prints.append(print) }
        } while result == SLUICE_PEM_READ.rawValue
        switch result {
        case SLUICE_PEM_END.rawValue where !prints.isEmpty: return prints
        case SLUICE_PEM_END.rawValue: throw fault(SLUICE_TLS_FAULT_NO_CERTIFICATE)
        case SLUICE_PEM_ENCRYPTED.rawValue: throw fault(SLUICE_TLS_FAULT_ENCRYPTED)
        default: throw fault(SLUICE_TLS_FAULT_BROKEN)
        }
    }
    private static func fault(_ fault: sluice_tls_fault) -> TLSSettingsError {
        TLSSettingsError(Int32(fault.rawValue), certificate: .authorities, key: .authorities)
    }
}

@safe package struct ClientCertificateRule: @unchecked Sendable, BitwiseCopyable {
    private struct Name {
        var text: ByteView
        var lowered: ByteView
        /// Beside the common name: `sluice_tls_name`.
        var kind: UInt8
    }
    // Digests behind each other; empty = not asked for.
    private let authorities: ByteView
    private let prints: ByteView
    private let names: UnsafePointer<Name>
    private let nameCount: Int

    /// Longer subjects than this are no certificate that a source takes: they are kept with each event.
    package static var subjectBytesMax: Int { 1024 }

    /// `authorities` and `prints` are of 32 bytes each. What is empty is not asked for.
    package init(authorities: [[UInt8]], names texts: [String], prints: [[UInt8]], in memory: CompiledMemory) {
        precondition((authorities + prints).allSatisfy { $0.count == CertificatePrint.byteCount })
        self.authorities = memory.place(bytes: Array(authorities.joined()))
        self.prints = memory.place(bytes: Array(prints.joined()))
        let names = texts.map {
            Name(
                text: memory.place(text: $0), lowered: memory.place(text: $0.lowercased()),
                kind: ClientCertificateRule.kind(of: $0))
        }
        unsafe self.names = UnsafePointer(memory.place(names))
        nameCount = names.count
    }
    private static func kind(of text: String) -> UInt8 {
        let other = text.contains("@") ? SLUICE_TLS_NAME_EMAIL : SLUICE_TLS_NAME_DNS
        let kind = text.contains(":") ? SLUICE_TLS_NAME_URI : other
        return UInt8(truncatingIfNeeded: kind.rawValue)
    }

    /// Why what the client has shown is not what is asked for; nil when it is.
    package func fault(of shown: PeerCertificate?, nowSeconds: UInt64) -> SignatureRejection? {
        guard let shown else { return .missingClientCertificate }
        // A connection may outlive the certificate that it began with.
        let isGood =
            shown.ends >= Int64(clamping: nowSeconds) && shown.subject.count <= ClientCertificateRule.subjectBytesMax
            && hasAuthority(shown) && hasPrint(shown) && hasName(shown)
        return isGood ? nil : .clientCertificateNotAllowed
    }
    private func hasAuthority(_ shown: PeerCertificate) -> Bool {
        if authorities.count == 0 { return true }
        let chain = shown.chain
        // The first is its own, which signs nobody.
        var place = CertificatePrint.byteCount
        while place < chain.count {
            let above = chain.slice(place, CertificatePrint.byteCount)
            for index in 0..<authorities.count / CertificatePrint.byteCount
            where authorities.slice(index * CertificatePrint.byteCount, CertificatePrint.byteCount).equals(above) {
                return true
            }
            place += CertificatePrint.byteCount
        }
        return false
    }
    private func hasPrint(_ shown: PeerCertificate) -> Bool {
        if prints.count == 0 { return true }
        for index in 0..<prints.count / CertificatePrint.byteCount
        where shown.hasFingerprint(prints.slice(index * CertificatePrint.byteCount, CertificatePrint.byteCount)) {
            return true
        }
        return false
    }
    private func hasName(_ shown: PeerCertificate) -> Bool {
        if nameCount == 0 { return true }
        let list = shown.names
        var place = 0
        while place + 3 <= list.count {
            let kind = list[place]
            let count = Int(list[place + 1]) | Int(list[place + 2]) << 8
            let text = list.slice(place + 3, count)
            for index in 0..<nameCount where unsafe fits(text, kind, names[index]) { return true }
            place += 3 + count
        }
        return false
    }
    /// DNS names are compared without case, everything else as it is.
    private func fits(_ text: ByteView, _ kind: UInt8, _ name: Name) -> Bool {
        if kind == UInt8(truncatingIfNeeded: SLUICE_TLS_NAME_COMMON.rawValue) { return text.equals(name.text) }
        guard kind == name.kind else { return false }
        guard kind == UInt8(truncatingIfNeeded: SLUICE_TLS_NAME_DNS.rawValue) else { return text.equals(name.text) }
        return text.equalsIgnoringCase(lowered: name.lowered)
    }
}
