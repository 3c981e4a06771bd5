// Puts the signed string together, piece by piece, in `RequestReading.composed`; the body itself is never copied.
//
// Safety: as in SchemeReader.swift.

import CShims

enum BodyHash {
    /// True exactly when `claimed` is the SHA-256 of the body in hexadecimal.
    static func equals(_ claimed: ByteView, _ body: ByteView) -> Bool {
        guard claimed.count == 64 else { return false }
        var tag = MACTag()
        return unsafe withUnsafeMutableBytes(of: &tag) { room in
            let digest = unsafe room.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe sluice_sha256(body.base, body.count, digest)
            let wanted = unsafe digest + 32
            guard unsafe TextEncoding.decode(claimed, as: .hex, wanted: 32, into: wanted) == .bytes(32) else {
                return false
            }
            return unsafe sluice_digest_equal(digest, wanted, 32) != 0
        }
    }
}

extension SchemeData {
    func compose(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ parts: SignatureParts, hasBodyHash: Bool,
        into message: inout ComposedMessage
    ) -> SignatureRejection? {
        if let reason = compose(
            &request, fields, parts, hasBodyHash: hasBodyHash, otherPort: false, &message.before, &message.after,
            &message.hasBody)
        {
            return reason
        }
        guard general.triesBothPorts, request.origin.count > 0 else { return nil }
        message.hasOther = true
        return compose(
            &request, fields, parts, hasBodyHash: hasBodyHash, otherPort: true, &message.otherBefore,
            &message.otherAfter, &message.hasBody)
    }

    private func compose(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ parts: SignatureParts, hasBodyHash: Bool,
        otherPort: Bool, _ before: inout ByteView, _ after: inout ByteView, _ hasBody: inout Bool
    ) -> SignatureRejection? {
        // Decoding writes into the same memory, so values are decoded before the string begins.
        var values = InlineArray<8, ByteView>(repeating: .empty)
        var valueCount = 0
        for index in 0..<pieceCount where unsafe pieces[index].kind == .value {
            guard valueCount < SchemeData.valueCountMax else { return .malformedHeader }
            switch unsafe pieces[index].place.find(&request, fields) {
            case .absent: return .missingHeader
            case .rejected(let reason): return reason
            case .value(let value): values[valueCount] = value
            }
            valueCount += 1
        }
        var start = request.composed.count
        var valueIndex = 0
        for index in 0..<pieceCount {
            let piece = unsafe pieces[index]
            switch piece.kind {
            case .literal: request.composed.append(piece.literal)
            case .id: request.composed.append(parts.id)
            case .timestamp: request.composed.append(parts.timestamp)
            case .method: request.composed.append(request.bytes.slice(request.head.methodRange))
            case .path: request.composed.append(request.bytes.slice(request.head.path))
            case .query: request.composed.append(request.bytes.slice(request.head.query))
            case .url: appendURL(&request, otherPort: otherPort)
            case .form:
                if let reason = appendForm(&request, fields, hasBodyHash: hasBodyHash) { return reason }
            case .value:
                request.composed.append(values[valueIndex])
                valueIndex += 1
            case .body:
                before = request.composed.written(since: start)
                start = request.composed.count
                hasBody = true
            }
        }
        let rest = request.composed.written(since: start)
        if hasBody { after = rest } else { before = rest }
        return nil
    }
    static let valueCountMax = 8

    private func appendURL(_ request: inout RequestReading, otherPort: Bool) {
        if otherPort {
            SchemeData.appendOtherPort(request.origin, to: &request.composed)
        } else {
            request.composed.append(request.origin)
        }
        // The absolute form has scheme and authority of its own, which the origin stands for.
        let start = Int(request.head.path.start)
        let end = request.head.target.end
        if request.head.path.isEmpty {
            request.composed.append("/")
            if !request.head.query.isEmpty {
                request.composed.append("?")
                appendTarget(request.bytes.slice(request.head.query), &request.composed)
            }
        } else {
            appendTarget(request.bytes.slice(start, end - start), &request.composed)
        }
    }
    private func appendTarget(_ text: ByteView, _ composed: inout ComposedBytes) {
        guard !general.urlDecodes.isEmpty else { return composed.append(text) }
        composed.appendPercentDecoded(text, only: general.urlDecodes)
    }

    /// `https://h:1` becomes `https://h`; `https://h` becomes `https://h:443`. A path behind it stays.
    private static func appendOtherPort(_ whole: ByteView, to composed: inout ComposedBytes) {
        var end = 0
        var slashes = 0
        while end < whole.count {
            if whole[end] == 0x2F { slashes += 1 }
            if slashes == 3 { break }
            end += 1
        }
        let origin = whole.slice(0, end)
        defer { composed.append(whole.slice(end, whole.count - end)) }
        var place = origin.count
        while place > 0, origin[place - 1] &- 0x30 < 10 { place -= 1 }
        // The colon behind the scheme has no digits behind it, and one inside an IPv6 address has its bracket.
        if place < origin.count, place > 0, origin[place - 1] == 0x3A {
            composed.append(origin.slice(0, place - 1))
            return
        }
        composed.append(origin)
        let isSecure = origin.count > 4 && origin[4] | 0x20 == 0x73
        composed.append(isSecure ? ":443" : ":80")
    }

    private func appendForm(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, hasBodyHash: Bool
    ) -> SignatureRejection? {
        // The hash stands for the body, or there is none: no parameters are signed.
        guard !hasBodyHash, request.body.count > 0 else { return nil }
        // A body of another kind is not signed by its parameters, so it must not pass as if it were.
        guard FormFields(bytes: request.bytes, fields: fields, body: request.body).kind == .urlEncoded,
            request.form.append(request.body, to: &request.composed)
        else { return .malformedHeader }
        return nil
    }
}
