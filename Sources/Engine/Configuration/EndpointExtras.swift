// What only endpoints of the outbound API have: words about them, header fields of their own, secrets that were rotated
// out, how their deliveries are signed, and the family of webhooks that they are of. Kept apart, behind one pointer,
// because most endpoints have none of it.
import FastPath

/// A value that takes the place of a pointer until there is one.
package indirect enum Boxed<Value: Equatable & Codable & Sendable>: Equatable, Sendable {
    case of(Value)

    package init(_ value: Value) { self = .of(value) }
    package var value: Value {
        switch self {
        case .of(let value): value
        }
    }
}

extension Boxed: Codable {
    package init(from decoder: any Decoder) throws { self = .of(try Value(from: decoder)) }
    package func encode(to encoder: any Encoder) throws { try value.encode(to: encoder) }
}

/// A header field that goes with every delivery.
package struct ConfiguredField: Equatable, Codable, Sendable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

package struct EndpointExtras: Equatable, Codable, Sendable {
    package var about = ""
    package var metadata: [String: String] = [:]
    /// Messages a second; kept and shown.
    package var throttleRate: Int?
    /// Of the receiver's code; kept for clients that say it.
    package var version = 1
    /// Sent with every delivery; each name once, whatever its letters' case.
    package var fields: [ConfiguredField] = []
    /// `user:password` of the URL as it was written, sent as Basic authorization unless `fields` has one.
    package var userInformation = ""
    /// The newest first; each signs until its end.
    package var oldSecrets: [EndingSecret] = []
    package var signatureNames = SignatureNames.webhook
    package var family = EndpointFamily.registry
    /// Of an entry of the contract's registry alone.
    package var contract: Boxed<ContractEntry>?

    package init() {}
}

extension EndpointExtras {
    /// What an earlier version did not know has its default.
    package init(from decoder: any Decoder) throws {
        self.init()
        let values = try decoder.container(keyedBy: CodingKeys.self)
        about = try values.decodeIfPresent(String.self, forKey: .about) ?? about
        metadata = try values.decodeIfPresent([String: String].self, forKey: .metadata) ?? metadata
        throttleRate = try values.decodeIfPresent(Int.self, forKey: .throttleRate)
        version = try values.decodeIfPresent(Int.self, forKey: .version) ?? version
        fields = try values.decodeIfPresent([ConfiguredField].self, forKey: .fields) ?? fields
        userInformation = try values.decodeIfPresent(String.self, forKey: .userInformation) ?? userInformation
        oldSecrets = try values.decodeIfPresent([EndingSecret].self, forKey: .oldSecrets) ?? oldSecrets
        signatureNames = try values.decodeIfPresent(SignatureNames.self, forKey: .signatureNames) ?? signatureNames
        family = try values.decodeIfPresent(EndpointFamily.self, forKey: .family) ?? family
        contract = try values.decodeIfPresent(Boxed<ContractEntry>.self, forKey: .contract)
    }

    /// Whole field lines.
    var fieldLines: [UInt8] {
        var text = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
        if !userInformation.isEmpty, !fields.contains(where: { $0.name.lowercased() == "authorization" }) {
            let pair = TextEncoding.base64(PercentText.decoded(userInformation))
            text += "Authorization: Basic \(pair)\r\n"
        }
        return Array(text.utf8)
    }
}

/// `%41` as the byte that it stands for.
enum PercentText {
    static func decoded(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var place = 0
        while place < bytes.count {
            if bytes[place] == UInt8(ascii: "%"), place + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[place + 1...place + 2], as: UTF8.self), radix: 16)
            {
                result.append(value)
                place += 3
            } else {
                result.append(bytes[place])
                place += 1
            }
        }
        return result
    }
}
