// Where traces are sent, and which. Off unless the configuration has `traces`.
import FastPath

package struct TraceHeader: Equatable, Sendable {
    package var name: String
    /// A secret: a collector's key stands in it.
    package var value: String

    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

package struct TraceSettings: Equatable, Sendable {
    package static let path = "/v1/traces"
    private static let headerCountMax = 16
    private static let headerBytesMax = 8192
    /// Of the collector; `/v1/traces` comes behind it.
    package var endpoint = ""
    /// Of the traces that begin here.
    package var ratio = 0.01
    /// A sender's `traceparent` says whether its trace is sampled.
    package var heedsParent = true
    package var headers: [TraceHeader] = []
    package var serviceName = "sluice"
    /// Of one request to the collector.
    package var timeoutMillis = 10_000
    package init() {}

    /// What a request to the collector is made of. Nil when the endpoint is none.
    package var request: PostRequest? {
        guard let address = try? EndpointAddress(endpoint) else { return nil }
        let base = address.target.hasSuffix("/") ? String(address.target.dropLast()) : address.target
        var request = PostRequest(
            host: address.host, port: address.port, isSecure: address.isSecure, hostField: address.hostField,
            target: base + TraceSettings.path)
        let own = "Content-Type: application/json\r\nUser-Agent: Sluice/\(Gateway.version)\r\n"
        request.fieldLines = Array((headers.map { "\($0.name): \($0.value)\r\n" }.joined() + own).utf8)
        request.millisMax = timeoutMillis
        return request
    }

    func issues(at path: FieldPath) -> [ValidationIssue] {
        var issues: [ValidationIssue] = []
        do throws(EndpointAddressError) {
            let address = try EndpointAddress(endpoint)
            if address.target.contains("?") {
                issues.append(
                    ValidationIssue(
                        path["endpoint"],
                        "has a query; it is the base to which \(TraceSettings.path) is added, as in "
                            + "http://127.0.0.1:4318", about: .value))
            }
            if let error = address.unreachable {
                issues.append(ValidationIssue(path["endpoint"], error.description, about: error.subject))
            }
        } catch { issues.append(ValidationIssue(path["endpoint"], error.description, about: error.subject)) }
        if serviceName.isEmpty {
            issues.append(ValidationIssue(path["service_name"], "is empty; it names the gateway"))
        }
        return issues + headerIssues(at: path["headers"])
    }
    /// Says nothing of a value.
    private func headerIssues(at path: FieldPath) -> [ValidationIssue] {
        let byteCount = headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard headers.count <= TraceSettings.headerCountMax, byteCount <= TraceSettings.headerBytesMax else {
            return [
                ValidationIssue(
                    path,
                    "is more than \(TraceSettings.headerCountMax) fields, or \(TraceSettings.headerBytesMax) bytes",
                    about: .nothing)
            ]
        }
        for header in headers {
            guard Array(header.name.utf8).withView({ FieldRules.isToken($0) }) else {
                return [ValidationIssue(path, "has a name that no header field can have", about: .nothing)]
            }
            guard !TraceSettings.ownNames.contains(header.name.lowercased()) else {
                return [ValidationIssue(path, "names `\(header.name)`, which the gateway sets", about: .nothing)]
            }
            guard header.value.utf8.allSatisfy({ $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F }) else {
                return [
                    ValidationIssue(path, "has a control character in the value of `\(header.name)`", about: .nothing)
                ]
            }
        }
        guard Set(headers.map { $0.name.lowercased() }).count == headers.count else {
            return [ValidationIssue(path, "has a name twice", about: .nothing)]
        }
        return []
    }
    private static let ownNames: Set<String> = [
        "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "user-agent",
        "expect", "te", "trailer", "upgrade", "keep-alive",
    ]
}
