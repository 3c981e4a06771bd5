// Amazon SNS: an RSA signature in the body over some of its decoded values, by a certificate of Amazon's.
//
// Invariants: a valid signature says only that some AWS account sent it, so the topics are given and compared before a
// certificate is asked for. `SubscribeURL` is signed, and never fetched here: an operator confirms. No header is
// signed, so none is looked at; what routes by the type takes it from the body.

import FastPath

struct NotificationServiceVerifier: StepwiseVerifier {
    /// Empty: any topic that the given certificates sign for.
    let topics: [TimedKey<String>]
    let certificates: any CertificateSource

    /// Of what is signed, in order. `Subject` alone may be absent.
    private static let notificationNames = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    private static let confirmationNames = [
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ]

    func check(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) throws(VerificationFailure) {
        // A name spelled with escapes is one that the event's selectors do not see.
        guard let message = SignedJSON(request.body, refusesEscapedNames: true), case .object = message else {
            throw .rejected(.malformedHeader)
        }
        let type = try text(of: "Type", in: message)
        guard let signature = TextEncoding.strictBase64(try text(of: "Signature", in: message)) else {
            throw .rejected(.malformedHeader)
        }
        let certificateURL = message["SigningCertURL"] == nil ? "SigningCertUrl" : "SigningCertURL"
        let address = try text(of: certificateURL, in: message)
        guard let url = PinnedURL(address), url.isNotificationService else {
            throw .rejected(.untrustedCertificateURL)
        }
        let algorithm = try algorithm(of: try text(of: "SignatureVersion", in: message))
        let signed = try signedText(of: message, type: type)
        if !topics.isEmpty {
            let topic = try text(of: "TopicArn", in: message)
            guard topics.usable(at: nowSeconds).contains(topic) else { throw .rejected(.originNotAllowed) }
        }
        switch certificates.keys(at: url, nowSeconds: nowSeconds) {
        case .unavailable: throw .undecided
        case .untrusted: throw .rejected(.untrustedCertificateURL)
        case .keys(let keys):
            guard keys.contains(where: { $0.verifies(signature, of: signed, as: algorithm) }) else {
                throw .rejected(.signatureMismatch)
            }
        }
    }

    private func text(of name: String, in message: SignedJSON) throws(VerificationFailure) -> String {
        guard let value = message[name] else { throw .rejected(.missingHeader) }
        guard let text = value.text, !text.isEmpty else { throw .rejected(.malformedHeader) }
        return text
    }
    private func algorithm(of version: String) throws(VerificationFailure) -> PublicKeyAlgorithm {
        switch version {
        case "1": return .rsaSHA1
        case "2": return .rsaSHA256
        default: throw .rejected(.wrongAlgorithm)
        }
    }
    /// Each name and its decoded value on lines of their own.
    private func signedText(of message: SignedJSON, type: String) throws(VerificationFailure) -> [UInt8] {
        let names: [String]
        switch type {
        case "Notification": names = NotificationServiceVerifier.notificationNames
        case "SubscriptionConfirmation", "UnsubscribeConfirmation":
            names = NotificationServiceVerifier.confirmationNames
        default: throw .rejected(.malformedHeader)
        }
        var signed: [UInt8] = []
        for name in names {
            guard let value = message[name], value != .null else {
                if name == "Subject" { continue }
                throw .rejected(.malformedHeader)
            }
            guard let text = value.text else { throw .rejected(.malformedHeader) }
            signed += Array("\(name)\n\(text)\n".utf8)
        }
        return signed
    }
}
