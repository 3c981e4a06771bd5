// What the fields of a request say together: where its body ends, whom it is for, whether the connection stays (RFC
// 9112 §6.3, §3.2, §9.3). Runs once, when the head is whole.
//
// Invariant: a request leaves here with exactly one reading of its length. Everything that smuggling lives on (two
// lengths, a length beside a coding, a list, a sign, a second Host) is an error.

extension RequestHead {
    /// Sets the framing from the fields; the error when they contradict each other. `authority`:
    /// the target's, in the absolute form.
    @inline(__always) mutating func frame(
        _ bytes: ByteView, _ fields: borrowing FieldTable, authority: ByteRange
    ) -> HTTPError? {
        var hostCount = 0
        var lengthCount = 0
        var expectCount = 0
        var length = ByteRange.empty
        var codings = TransferCodings()
        var connection = ConnectionOptions()
        for index in 0..<fields.count {
            let field = fields[index]
            switch KnownField(field, in: bytes) {
            case .host:
                host = field.value
                hostCount &+= 1
            case .contentLength:
                length = field.value
                lengthCount &+= 1
            case .transferEncoding: codings.add(bytes.slice(field.value))
            case .connection: connection.add(bytes.slice(field.value))
            case .expect:
                expectCount &+= 1
                expectsContinue = FieldRules.matches(bytes.slice(field.value), "100-continue")
            case .retryAfter, nil: break
            }
        }
        // An expectation that is not understood may be ignored (RFC 9110 §10.1.1); 1.0 never gets a 1xx.
        expectsContinue = expectsContinue && expectCount == 1 && versionMinor >= 1
        let isConnect = method == .other && bytes.slice(methodRange).equals("CONNECT")
        closes = isConnect || connection.closes(versionMinor: versionMinor)
        if let error = hostError(bytes, hostCount) { return error }
        // RFC 9112 §3.2.2: what the target says is whom it is for, whatever Host says.
        if !authority.isEmpty { host = authority }
        if codings.isPresent { return frameChunked(codings, lengthCount) }
        guard lengthCount > 0 else { return nil }
        guard lengthCount == 1 else { return .duplicateContentLength }
        guard let count = FieldRules.contentLength(bytes.slice(length)) else { return .badContentLength }
        contentLength = count
        return nil
    }
    @inline(__always) private func hostError(_ bytes: ByteView, _ count: Int) -> HTTPError? {
        if count > 1 { return .duplicateHost }
        if count == 0 { return versionMinor >= 1 ? .missingHost : nil }
        return HostRules.isValid(bytes.slice(host)) ? nil : .badHost
    }
    private mutating func frameChunked(_ codings: TransferCodings, _ lengthCount: Int) -> HTTPError? {
        if lengthCount > 0 { return .lengthAndTransferEncoding }
        if versionMinor == 0 { return .transferEncodingInVersion10 }
        if let error = codings.error { return error }
        isChunked = true
        return nil
    }
}
