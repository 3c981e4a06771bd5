// What `sluice doctor --config FILE` says of the certificates that the listeners show: how many days are left.
import Engine
import FastPath
import Foundation

enum CertificateProbe {
    static func findings(config: String?) -> [Finding] {
        guard let config else { return [] }
        let process: ProcessSettings
        do { process = try ConfigurationFile.load(config).process } catch {
            return [
                Finding(
                    what: "configuration", verdict: .fail, found: "it cannot be used",
                    mend: "`sluice config check` says why")
            ]
        }
        let listeners = process.listen.map { process.listenTLS[$0] } + [process.adminTLS]
        return listeners.flatMap { ($0?.identities ?? []).map(finding) }
    }
    private static func finding(_ identity: ListenerTLS.Identity) -> Finding {
        let name = PEMFile.name(identity.certificate)
        guard let bytes = try? PEMFile.read(identity.certificate),
            let validity = TLSIdentity(chain: bytes, key: []).validity
        else {
            return Finding(
                what: "certificate", verdict: .fail, found: "\(name) cannot be read", mend: "it takes PEM")
        }
        let days = (validity.upperBound - Int64(Date().timeIntervalSince1970)) / 86_400
        let isLong = days >= ListenerCertificate.warningDays
        return Finding(
            what: "certificate", verdict: isLong ? .ok : .warn, found: "\(name): \(days) days left",
            mend: isLong ? nil : "renew it; a SIGHUP takes it over")
    }
}
