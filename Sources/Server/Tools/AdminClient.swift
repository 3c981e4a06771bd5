// Asks a running gateway's control API: one request, one JSON answer, one connection.
import Engine
import FastPath
import Foundation
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOPosix

/// What the command line says when the gateway cannot be asked, or says no.
struct AdminError: Error {
    /// True exactly when the gateway answered.
    let isAnswer: Bool
    let message: String
    /// Every field that is wrong, when there are several.
    var lines: [String] = []
    /// What the gateway answered with.
    var status: Int?
}

/// The key that a call shows, and where it is from.
struct AdminKey: Sendable {
    /// Nil when none is at hand.
    let token: String?
    /// Where it was found or looked for, for whoever has to find the right one.
    let origin: String?

    init(_ token: String?, _ origin: String?) {
        self.token = token
        self.origin = origin
    }
}

enum AdminMethod: String {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

/// Whom a gateway with TLS must prove itself to.
enum AdminTrust {
    static let variable = "SLUICE_CA"

    static func file(_ option: String?, _ environment: [String: String]) -> String? {
        option ?? environment[variable].flatMap { $0.isEmpty ? nil : $0 }
    }
    /// `file` nil: the system's authorities.
    static func context(_ file: String?) throws(AdminError) -> TLSContext {
        var tls = EndpointTLS()
        tls.authorities = file
        do throws(EndpointTLSError) { return try ClientContexts.context(for: tls) } catch {
            throw AdminError(isAnswer: false, message: "--ca: \(error.message)")
        }
    }
}

struct AdminClient: Sendable {
    let address: AdminAddress
    let key: AdminKey
    /// Nil where the listener is plain.
    private let tls: TLSContext?
    /// Whom a key of all tenants acts for; nil = for all.
    private(set) var tenant: String?

    init(address: AdminAddress, key: AdminKey, authorities: String? = nil) throws(AdminError) {
        self.address = address
        self.key = key
        tls = address.isSecure ? try AdminTrust.context(authorities) : nil
    }
    func forTenant(_ tenant: String?) -> AdminClient {
        var copy = self
        copy.tenant = tenant
        return copy
    }
    private static let answerBytesMax = 64 << 20

    /// A resource of `/api/v1`.
    func resource<Response: Decodable>(_ target: String, _ type: Response.Type) async throws -> Response {
        try decode(try await send(.GET, target, nil))
    }
    /// Asks `/api/v1` to change something.
    func change<Response: Decodable>(
        _ target: String, _ body: String?, _ type: Response.Type, method: AdminMethod = .post,
        contentType: String = "application/json"
    ) async throws -> Response {
        try await change(
            target, content: body.map { Data($0.utf8) }, type, method: method, contentType: contentType)
    }
    /// The same with a body of any bytes.
    func change<Response: Decodable>(
        _ target: String, content: Data?, _ type: Response.Type, method: AdminMethod = .post, contentType: String
    ) async throws -> Response {
        let method = HTTPMethod(rawValue: method.rawValue)
        return try decode(try await send(method, target, content, contentType: contentType))
    }

    /// Asks `/api/v1` to take something away.
    func remove(_ target: String) async throws { _ = try await send(.DELETE, target, nil) }

    private func decode<Response: Decodable>(_ data: Data) throws -> Response {
        do {
            return try BodyReading.decoder.decode(Response.self, from: Array(data))
        } catch {
            throw AdminError(
                isAnswer: true, message: "\(address) did not answer with this version's JSON; is it a Sluice gateway?")
        }
    }

    private struct DeprecatedFailure: Decodable {
        struct Detail: Decodable { let message: String }
        let error: Detail
    }
    /// Of the Svix-shaped API: a text, or a list of what is wrong.
    private struct SvixFailure: Decodable {
        struct Issue: Decodable {
            let loc: [String]
            let msg: String
        }
        let detail: String
        let issues: [Issue]

        enum CodingKeys: CodingKey { case detail }
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            if let text = try? container.decode(String.self, forKey: .detail) {
                (detail, issues) = (text, [])
            } else {
                issues = try container.decode([Issue].self, forKey: .detail)
                detail = "nothing was changed: some fields are not valid"
            }
        }
        var lines: [String] { issues.map { "\($0.loc.dropFirst().joined(separator: ".")): \($0.msg)" } }
    }
    private func refusal(_ status: Int, _ data: Data) -> AdminError {
        var error = words(status, data)
        error.status = status
        return error
    }
    private func words(_ status: Int, _ data: Data) -> AdminError {
        let origin = key.origin.map { " (\($0))" } ?? ""
        if status == 401, key.token == nil {
            return AdminError(
                isAnswer: true,
                message: "\(address) asks for a key\(origin): give --config FILE of a gateway of this machine, "
                    + "sign in with `sluice login`, or set \(GatewayOptions.keyVariable) in the environment")
        }
        if let problem = try? BodyReading.decoder.decode(ProblemDocument.self, from: Array(data)) {
            let errors = (problem.errors ?? []).map(\.line)
            // The only one may stand in the detail already.
            let isSaid = errors.count == 1 && problem.detail.contains(errors[0])
            return AdminError(
                isAnswer: true, message: problem.detail + (status == 401 ? origin : ""),
                lines: isSaid ? [] : errors)
        }
        if let failure = try? JSONValueDecoder().decode(SvixFailure.self, from: Array(data)) {
            return AdminError(
                isAnswer: true, message: failure.detail + (status == 401 ? origin : ""), lines: failure.lines)
        }
        let failure = try? JSONValueDecoder().decode(DeprecatedFailure.self, from: Array(data))
        return AdminError(isAnswer: true, message: failure?.error.message ?? "\(address) answered \(status)")
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ body: Data?, contentType: String = "application/json"
    ) async throws -> Data {
        let promise = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: (Int, Data).self)
        let (address, tls) = (self.address, self.tls)
        let handlerAdded = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try Self.secure(channel, tls, address.host) }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(AdminExchange(promise))
                }
            }
        do {
            let channel = try await handlerAdded.connect(host: address.host, port: address.port).get()
            var fields = HTTPHeaders([
                ("Host", address.authority), ("Connection", "close"), ("X-Sluice-Request", "1"),
            ])
            if let token = key.token { fields.add(name: "Authorization", value: "Bearer \(token)") }
            if let tenant { fields.add(name: SignIn.tenantHeader.rawName, value: tenant) }
            let content = ByteBuffer(bytes: body ?? Data())
            // Without a length a body of a POST could still follow.
            if body != nil || method != .GET {
                fields.add(name: "Content-Type", value: contentType)
                fields.add(name: "Content-Length", value: "\(content.readableBytes)")
            }
            channel.write(
                HTTPClientRequestPart.head(.init(version: .http1_1, method: method, uri: path, headers: fields)),
                promise: nil)
            if body != nil { channel.write(HTTPClientRequestPart.body(.byteBuffer(content)), promise: nil) }
            channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        } catch {
            promise.fail(error)
        }
        let status: Int
        let data: Data
        do {
            (status, data) = try await promise.futureResult.get()
        } catch {
            throw AdminError(
                isAnswer: false,
                message: (error as? TLSStreamError).map { "\(address): TLS: \($0.words)" }
                    ?? "no gateway answers at \(address): \(Sender.words(of: error)); "
                    + "is it running, and is this its `admin` address?"
            )
        }
        guard (200...299).contains(status) else {
            throw refusal(status, data)
        }
        return data
    }
    private static func secure(_ channel: any Channel, _ tls: TLSContext, _ host: String) throws {
        let isAddress = AddressText.isVersion4(host) || AddressText.isVersion6(host)
        guard let stream = TLSStream(connecting: tls, to: host, isAddress: isAddress) else {
            throw ChannelError.operationUnsupported
        }
        try channel.pipeline.syncOperations.addHandler(stream)
    }
}

private final class AdminExchange: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<(Int, Data)>
    private var status = 0
    private var body = Data()
    private var isDone = false

    init(_ promise: EventLoopPromise<(Int, Data)>) { self.promise = promise }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): status = Int(head.status.code)
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            isDone = true
            promise.succeed((status, body))
            context.close(promise: nil)
        }
    }
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(error)
        context.close(promise: nil)
    }
    func channelInactive(context: ChannelHandlerContext) { fail(ChannelError.eof) }
    private func fail(_ error: any Error) {
        guard !isDone else { return }
        isDone = true
        promise.fail(error)
    }
}
