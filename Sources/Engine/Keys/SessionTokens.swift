// Sessions of the contract edge: a JWT (RFC 7519, HS256) that a key's bearer asks for, signed with a secret of the data
// folder and good for an hour at most. Pure, but for the folder; the time comes in.
//
// Invariants: a session names its key, and whoever takes one asks whether that key is in force still; nothing but what
// this secret signed is a session, whatever its head says of an algorithm; the secret is in no answer and no log.
import FastPath
import Foundation

package final class SessionTokens: Sendable {
    package static let fileName = "sessions.secret"
    package static let issuer = "sluice"
    package static let secondsRange = 1...3600
    private static let secretBytes = 32
    private static let bytesMax = 2048

    package struct Session: Equatable, Sendable {
        /// The key's public id.
        package var key: String
        /// The tenant's UUID; nil = of none.
        package var tenant: String?
        package var role: KeyRole
        package var endSeconds: UInt64

        package init(key: String, tenant: String?, role: KeyRole, endSeconds: UInt64) {
            self.key = key
            self.tenant = tenant
            self.role = role
            self.endSeconds = endSeconds
        }
    }

    private let memory: CompiledMemory
    private let key: SigningKey

    package init(secret: [UInt8]) {
        let memory = CompiledMemory()
        key = SigningKey(secret: secret, algorithm: .sha256, in: memory)
        self.memory = memory
    }
    /// The secret of a data folder; a folder that has none gets one.
    package convenience init(folder: String) throws(KeyFileError) {
        let file = PrivateFile(path: folder + "/" + SessionTokens.fileName)
        if let bytes = try file.read() {
            guard bytes.count == SessionTokens.secretBytes else {
                throw .notAKey(file: SessionTokens.fileName)
            }
            self.init(secret: bytes)
            return
        }
        let bytes = RandomBytes.make(SessionTokens.secretBytes)
        try file.write(bytes)
        self.init(secret: bytes)
    }

    package func token(_ session: Session, id: String, nowSeconds: UInt64) -> String {
        var claims: [String: PlainJSON] = [
            "iss": .text(SessionTokens.issuer), "sub": .text(session.key), "role": .text(session.role.name),
            "iat": .integer(Int64(nowSeconds)), "exp": .integer(Int64(session.endSeconds)), "jti": .text(id),
        ]
        claims["tenant_id"] = session.tenant.map { .text($0) } ?? .null
        let head = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
        let signed = [head, PlainJSON.object(claims).json].map { TextEncoding.bareBase64URL(Array($0.utf8)) }
            .joined(separator: ".")
        return signed + "." + TextEncoding.bareBase64URL(key.mac(over: Array(signed.utf8)))
    }

    package enum Verdict: Equatable, Sendable {
        case session(Session)
        /// Another's token, or none.
        case foreign
        case refused(TokenFault)
    }
    /// Told from tokens of identity providers by what the token itself says; that counts behind its signature alone.
    package func verdict(on text: String, nowSeconds: UInt64) -> Verdict {
        guard text.utf8.count <= SessionTokens.bytesMax else { return .foreign }
        let token: JSONWebToken
        do throws(TokenFault) { token = try JSONWebToken(text) } catch { return .foreign }
        guard token.claims["iss"]?.text == SessionTokens.issuer else { return .foreign }
        do throws(TokenFault) { try token.check(by: key) } catch { return .refused(error) }
        guard case .number(let end)? = token.claims["exp"], let endSeconds = UInt64(end),
            let subject = token.claims["sub"]?.text,
            let role = token.claims["role"]?.text.flatMap({ KeyRole(name: $0) })
        else { return .refused(.malformed) }
        guard nowSeconds < endSeconds else { return .refused(.expired) }
        return .session(
            Session(key: subject, tenant: token.claims["tenant_id"]?.text, role: role, endSeconds: endSeconds))
    }
}
