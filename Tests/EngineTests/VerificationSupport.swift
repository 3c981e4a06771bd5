// Vectors as requests, and one way to run each through its verifier: shared by the suites of the costly schemes.
import Engine
import FastPath
import Foundation
import TestSupport

struct VerificationVector: Decodable, Sendable {
    struct Secret: Decodable, Sendable { let value: String }
    let id: String
    let scheme: String
    let kind: String
    let secrets: [Secret]
    let method: String
    let url: String
    let headers: [[String]]
    let body: String
    let now: UInt64
    let expect: String
    let alt_expect: [String]?
    let expect_qsh: String?
}

struct VerificationFixtures: Decodable, Sendable {
    let vectors: [VerificationVector]
    let material: [String: String]

    static let own: VerificationFixtures = {
        let file = Repository.fixture("public_key_vectors.json")
        guard let data = try? Data(contentsOf: file),
            let fixtures = try? JSONDecoder().decode(VerificationFixtures.self, from: data)
        else { fatalError("Tests/Fixtures/public_key_vectors.json is missing or is none") }
        return fixtures
    }()

    /// The shared vectors of a provider; nil where they are not beside the repository.
    static func shared(_ provider: String) -> [VerificationVector]? {
        guard let file = Repository.sharedVectors?.appending(path: "\(provider).json"),
            let data = try? Data(contentsOf: file)
        else { return nil }
        return try? JSONDecoder().decode([VerificationVector].self, from: data)
    }
    static func material(_ name: String) -> String { own.material[name] ?? "" }
}

/// A request that can be changed piece by piece before it becomes bytes.
struct RequestParts: Sendable {
    var method: String
    var origin: String
    var target: [UInt8]
    var headers: [(name: String, value: [UInt8])]
    var body: [UInt8]

    init(_ vector: VerificationVector) {
        let components = URLComponents(string: vector.url)
        method = vector.method
        let path = components?.percentEncodedPath ?? "/"
        target = Array((path.isEmpty ? "/" : path).utf8)
        if let query = components?.percentEncodedQuery { target += Array("?\(query)".utf8) }
        let port = components?.port.map { ":\($0)" } ?? ""
        origin = "\(components?.scheme ?? "https")://\(components?.percentEncodedHost ?? "")\(port)"
        headers = vector.headers.map { ($0[0], Array($0[1].utf8)) }
        body = Data(base64Encoded: vector.body).map { [UInt8]($0) } ?? []
    }

    var bytes: [UInt8] {
        var raw = Array("\(method) ".utf8) + target + Array(" HTTP/1.1\r\nHost: gateway.example\r\n".utf8)
        for header in headers { raw += Array("\(header.name): ".utf8) + header.value + [0x0D, 0x0A] }
        return raw + Array("Content-Length: \(body.count)\r\n\r\n".utf8) + body
    }

    /// "accept", or "reject:" and why; "unreadable" for what the codec refuses.
    func verdict(_ verifier: any RequestVerifier, now: UInt64) -> String {
        guard let request = try? CapturedRequest(bytes) else { return "unreadable" }
        switch verifier.verify(request, origin: origin, nowSeconds: now) {
        case .accepted: return "accept"
        case .rejected(let reason): return "reject:\(reason.rawValue)"
        case .undecided: return "undecided"
        }
    }
}

/// Brings nothing: a test that needs it has forgotten to give its certificate.
struct NoFetcher: CertificateFetcher {
    func certificates(host: String, path: String) -> [UInt8]? { nil }
}

extension NamedScheme {
    /// With certificates of its own, waited for.
    static func verifier(
        _ scheme: NamedScheme, secrets: [SourceSecret], fetcher: any CertificateFetcher,
        trust: CertificateTrust? = nil
    ) throws(SchemeError) -> any RequestVerifier {
        try verifier(
            scheme, secrets: secrets,
            certificates: CertificateResolver(fetcher: fetcher, trust: trust, mode: .blocking))
    }
}

extension VerificationVector {
    var named: NamedScheme? {
        switch scheme {
        case "aws-sns": .notificationService
        case "paypal": .payPal
        case "jira-connect": .jiraConnect
        case "adyen-item": .adyenItem
        case "hubspot-v1", "hubspot-v2": .hubSpotLegacy
        default: nil
        }
    }
    func namedVerifier() throws -> (any RequestVerifier)? {
        guard let named else { return nil }
        return try NamedScheme.verifier(
            named, secrets: secrets.map { SourceSecret($0.value) }, fetcher: NoFetcher())
    }
    func matches(_ verdict: String) -> Bool { verdict == expect || (alt_expect ?? []).contains(verdict) }
}
