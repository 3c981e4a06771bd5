// Signs as the providers whose schemes are code: a JWT for Jira Connect, a MAC inside each item for Adyen, a plain hash
// for HubSpot's older versions. What only a certificate of the provider's can sign is refused.

import FastPath
import Foundation

struct NamedSigner: Sendable {
    private let scheme: NamedScheme
    private let secret: [UInt8]

    init(_ scheme: NamedScheme, secrets: [String]) throws(SourceProblemError) {
        self.scheme = scheme
        do throws(SchemeError) {
            switch scheme {
            case .notificationService, .payPal: throw .badAlgorithm("only the sender's own certificate signs it")
            case .adyenItem: secret = try SecretEncoding.hex.key(of: secrets[0], index: 0)
            case .jiraConnect, .hubSpotLegacy: secret = try SecretEncoding.text.key(of: secrets[0], index: 0)
            }
        } catch { throw SourceProblemError(.scheme(error)) }
    }

    func sign(_ request: UnsignedRequest) -> SignedRequest {
        var result = SignedRequest(headers: [], target: request.target, body: request.body)
        switch scheme {
        case .jiraConnect: result.headers = [("Authorization", "JWT " + token(request))]
        case .adyenItem: result.body = signedItems(request.body)
        case .hubSpotLegacy:
            let url = Array((request.method + request.origin + request.target).utf8)
            let digest = TextEncoding.hex(Digest.sha256(secret + url + request.body))
            result.headers = [("X-HubSpot-Signature-Version", "v2"), ("X-HubSpot-Signature", digest)]
        case .notificationService, .payPal: break
        }
        return result
    }

    private func mac(_ message: String) -> [UInt8] {
        let memory = CompiledMemory()
        let key = SigningKey(secret: secret, algorithm: .sha256, in: memory)
        return withExtendedLifetime(memory) { key.mac(over: Array(message.utf8)) }
    }

    private func token(_ request: UnsignedRequest) -> String {
        let (path, query) = request.parts
        let hash = QueryHash.hash(method: request.method, path: path, query: query)
        let claims =
            #"{"iss":"sluice-send","iat":\#(request.timestamp),"exp":\#(request.timestamp + 180),"qsh":"\#(hash)"}"#
        let signed = [#"{"alg":"HS256","typ":"JWT"}"#, claims].map { TextEncoding.bareBase64URL(Array($0.utf8)) }
            .joined(separator: ".")
        return signed + "." + TextEncoding.bareBase64URL(mac(signed))
    }

    /// The items of the body, each with its MAC.
    private func signedItems(_ body: [UInt8]) -> [UInt8] {
        guard var root = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any],
            let list = root["notificationItems"] as? [[String: Any]]
        else { return body }
        root["notificationItems"] = list.map { element -> [String: Any] in
            guard var item = element["NotificationRequestItem"] as? [String: Any] else { return element }
            let amount = item["amount"] as? [String: Any] ?? [:]
            let values: [Any?] = [
                item["pspReference"], item["originalReference"], item["merchantAccountCode"],
                item["merchantReference"], amount["value"], amount["currency"], item["eventCode"], item["success"],
            ]
            let signed = values.map { value -> String in
                if let text = value as? String { return text }
                return (value as? NSNumber)?.stringValue ?? ""
            }
            var more = item["additionalData"] as? [String: Any] ?? [:]
            more["hmacSignature"] = TextEncoding.base64(mac(signed.joined(separator: ":")))
            item["additionalData"] = more
            return ["NotificationRequestItem": item]
        }
        let data = try? JSONSerialization.data(
            withJSONObject: root, options: [.sortedKeys, .withoutEscapingSlashes])
        return data.map { [UInt8]($0) } ?? body
    }
}
