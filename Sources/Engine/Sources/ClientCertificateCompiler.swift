// What a source demands of client certificates, compiled: files read, fingerprints taken apart.
//
// Invariant: a list that is wrong is rejected at startup; it never becomes one that takes everybody.

import FastPath

package struct ClientCertificateProblem: Error, Equatable, Sendable {
    package enum Key: Equatable, Sendable {
        case whole, authorities
        case name(Int), fingerprint(Int)
    }
    package let key: Key
    /// Says what is wrong, without the key.
    package let message: String
}

enum ClientCertificateCompiler {
    private static let nameBytesMax = 1024

    static func rule(
        _ demanded: ClientCertificateConfiguration, in memory: CompiledMemory
    ) throws(ClientCertificateProblem) -> ClientCertificateRule {
        guard !demanded.isEmpty else {
            throw ClientCertificateProblem(
                key: .whole, message: "demands nothing; give `ca`, `names` or `fingerprints`")
        }
        for (index, name) in demanded.names.enumerated() {
            let bytes = name.utf8
            guard !bytes.isEmpty, bytes.count <= nameBytesMax, !bytes.contains(where: { $0 < 0x20 || $0 == 0x7F })
            else {
                throw ClientCertificateProblem(
                    key: .name(index),
                    message: "is not a name such as billing.example.com, spiffe://example.com/billing or "
                        + "ops@example.com, which a certificate has as a whole")
            }
            guard !name.contains("*") else {
                throw ClientCertificateProblem(
                    key: .name(index), message: "has a star; names are compared whole, so list each")
            }
        }
        var prints: [[UInt8]] = []
        for (index, text) in demanded.fingerprints.enumerated() {
            guard let print = print(text) else {
                throw ClientCertificateProblem(
                    key: .fingerprint(index),
                    message: "is not the SHA-256 of a certificate: 64 hexadecimal digits, as `openssl x509 -noout "
                        + "-fingerprint -sha256` shows them")
            }
            prints.append(print)
        }
        return ClientCertificateRule(
            authorities: try authorities(demanded), names: demanded.names, prints: prints, in: memory)
    }

    private static func authorities(
        _ demanded: ClientCertificateConfiguration
    ) throws(ClientCertificateProblem) -> [[UInt8]] {
        guard let path = demanded.authorities else { return [] }
        let text: [UInt8]
        do throws(PEMFileError) { text = try PEMFile.read(path) } catch {
            throw ClientCertificateProblem(key: .authorities, message: error.message)
        }
        do throws(TLSSettingsError) { return try CertificatePrint.all(inPEM: text) } catch {
            throw ClientCertificateProblem(
                key: .authorities, message: "`\(PEMFile.name(path))` \(error.words)")
        }
    }
    private static func print(_ text: String) -> [UInt8]? {
        let digits = text.filter { $0 != ":" }.utf8.map { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == 2 * CertificatePrint.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in 0..<CertificatePrint.byteCount {
            guard let high = digits[2 * index], let low = digits[2 * index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}

extension ClientCertificateConfiguration {
    /// Looks into the file; one that cannot be read is told of when it is used.
    package mutating func noteContents() { contents = authorities.map { PEMFile.digest([$0]) } ?? "" }
}
