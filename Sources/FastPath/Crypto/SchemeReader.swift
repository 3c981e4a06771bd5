// The general way of reading a request by a scheme: values anywhere in it, several signatures, times of every form, and
// the signed string put together. `SignatureHeader.swift` has the quick way, which the schemes of header values take.
// Both decide in the same order (see there); what the general way has besides comes after the timestamp: the body's
// hash, then the parts of the signed string.
//
// Invariants: nothing here accepts; a value that the signed string needs and the request has not, or has twice, is a
// reason, never an empty text. No allocation: what must be decoded or composed goes into `RequestReading.composed`.
//
// Safety: views of what is returned point into the request and into `composed`, and live as long as both.

/// One request and the room to read it in. Trivial.
struct RequestReading {
    let bytes: ByteView
    let head: RequestHead
    let body: ByteView
    /// Scheme and authority as the sender used them; empty when unknown.
    let origin: ByteView
    let nowSeconds: UInt64
    let form: FormParameters
    var composed: ComposedBytes
    var matches = JSONMatches()
}

/// The signed string around the body: `before`, the body when `hasBody`, `after`.
struct ComposedMessage {
    var before = ByteView.empty
    var after = ByteView.empty
    var hasBody = false
    /// The same with the other spelling of the URL's port.
    var otherBefore = ByteView.empty
    var otherAfter = ByteView.empty
    var hasOther = false
}

enum FoundValue {
    case value(ByteView)
    case absent
    case rejected(SignatureRejection)
}

extension ReadLocation {
    /// An empty value counts as found.
    @inline(never)
    func find(_ request: inout RequestReading, _ fields: borrowing FieldTable) -> FoundValue {
        switch kind {
        case .none: return .absent
        case .header:
            guard let header else { return .absent }
            let first = fields.firstIndex(of: header, in: request.bytes)
            guard first >= 0 else { return .absent }
            guard fields.firstIndex(of: header, in: request.bytes, from: first + 1) < 0 else {
                return .rejected(.duplicateHeader)
            }
            return .value(request.bytes.slice(fields[first].value))
        case .query: return findParameter(&request)
        case .form: return findField(&request, fields)
        case .json: return findJSON(&request)
        }
    }
    func isPresent(_ request: inout RequestReading, _ fields: borrowing FieldTable) -> Bool {
        let count = request.composed.count
        defer { request.composed.truncate(to: count) }
        if case .absent = find(&request, fields) { return false }
        return true
    }

    private func findParameter(_ request: inout RequestReading) -> FoundValue {
        let query = request.bytes.slice(request.head.query)
        var place = 0
        guard let found = QueryText.value(of: name, in: query, from: &place) else { return .absent }
        guard QueryText.value(of: name, in: query, from: &place) == nil else { return .rejected(.duplicateHeader) }
        let first = request.composed.count
        // A plus stays one: signatures in base 64 come with theirs bare.
        request.composed.appendPercentDecoded(found, plusIsSpace: false)
        return .value(request.composed.written(since: first))
    }

    private func findField(_ request: inout RequestReading, _ fields: borrowing FieldTable) -> FoundValue {
        var form = FormFields(bytes: request.bytes, fields: fields, body: request.body)
        var found: FormFields.Field?
        while let field = form.next() {
            guard field.isNamed(name) else { continue }
            guard found == nil else { return .rejected(.duplicateHeader) }
            found = field
        }
        guard let found else { return .absent }
        guard found.isEncoded else { return .value(found.value) }
        let first = request.composed.count
        request.composed.appendPercentDecoded(found.value, plusIsSpace: true)
        return .value(request.composed.written(since: first))
    }

    private func findJSON(_ request: inout RequestReading) -> FoundValue {
        let match = request.matches[path]
        switch match.kind {
        case .absent: return .absent
        case .malformed, .object, .array: return .rejected(.malformedHeader)
        case .number: return .value(request.body.slice(match.range))
        case .literal:
            let text = request.body.slice(match.range)
            return text[0] == 0x6E ? .absent : .value(text)
        case .string:
            let text = request.body.slice(match.range)
            var hasEscape = false
            for index in 0..<text.count where text[index] == 0x5C {
                hasEscape = true
                break
            }
            guard hasEscape else { return .value(text) }
            let first = request.composed.count
            guard request.composed.appendJSONDecoded(text) else { return .rejected(.malformedHeader) }
            return .value(request.composed.written(since: first))
        }
    }
}

extension SchemeData {
    /// As `chosenPlain`, where one of the alternatives is not plain.
    @inline(never)
    static func chosen(
        _ scheme: SignatureScheme, _ request: inout RequestReading, _ fields: borrowing FieldTable
    ) -> UnsafePointer<SchemeData> {
        guard unsafe scheme.data.pointee.alternative != nil else { return unsafe scheme.data }
        var next: UnsafePointer<SchemeData>? = unsafe scheme.data
        while let candidate = unsafe next {
            if unsafe candidate.pointee.applies(&request, fields) { return unsafe candidate }
            unsafe next = candidate.pointee.alternative
        }
        return unsafe scheme.data
    }

    /// What `appliesWhen` asks for, or else a signature.
    private func applies(_ request: inout RequestReading, _ fields: borrowing FieldTable) -> Bool {
        scan(&request)
        if general.appliesWhen.kind != .none { return general.appliesWhen.isPresent(&request, fields) }
        for index in 0..<general.setCount where unsafe general.sets[index].signature.isPresent(&request, fields) {
            return true
        }
        return false
    }
    private func scan(_ request: inout RequestReading) {
        request.matches = general.paths.count > 0 ? JSONPathScan.run(request.body, general.paths) : JSONMatches()
    }

    /// Nil when at least one claim can be compared; `claims` then has it and `message` what is signed. For tokens and
    /// credentials `parts.signature` has the value and nothing else is read.
    @inline(never)
    func read(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, parts: inout SignatureParts,
        claims: inout SignatureClaims, message: inout ComposedMessage
    ) -> SignatureRejection? {
        scan(&request)
        var reason: SignatureRejection?
        if general.takesEverySet {
            reason = claimEverySet(&request, fields, &claims)
        } else {
            if let missing = gather(&request, fields, &parts) { return missing }
            if kind == .token || kind == .basic { return nil }
            reason = readGeneralClaims(&parts, into: &claims)
        }
        if let reason, reason != .signatureMismatch { return reason }
        if timestampPlace != .none, !(timestampIsOptional && parts.timestamp.count == 0),
            let late = checkGeneralTimestamp(parts.timestamp, nowSeconds: request.nowSeconds)
        {
            return late
        }
        var hasBodyHash = false
        if let wrong = checkBodyHash(&request, fields, &hasBodyHash) { return wrong }
        if let missing = compose(&request, fields, parts, hasBodyHash: hasBodyHash, into: &message) { return missing }
        return reason == nil && !refuses(body: request.body) ? nil : mismatch
    }

    private func gather(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ parts: inout SignatureParts
    ) -> SignatureRejection? {
        var set = unsafe general.sets[general.setCount - 1]
        for index in 0..<general.setCount - 1 {
            let candidate = unsafe general.sets[index]
            if candidate.signature.isPresent(&request, fields) {
                set = candidate
                break
            }
        }
        if set.id.kind != .none, let reason = SchemeData.single(set.id, &request, fields, into: &parts.id) {
            return reason
        }
        if timestampPlace == .value {
            let reason = SchemeData.single(set.timestamp, &request, fields, into: &parts.timestamp)
            if let reason, !(timestampIsOptional && reason == .missingHeader) { return reason }
        }
        if let reason = SchemeData.single(set.signature, &request, fields, into: &parts.signature) { return reason }
        return hasRivalPlaces ? contradiction(&request, fields, parts) : nil
    }
    /// What another set says of the id or the time is not signed: it must be the same, or be absent. Else whoever reads
    /// the event by that set's places (a dedup key, a receiver) would take what anyone can write.
    private func contradiction(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ parts: SignatureParts
    ) -> SignatureRejection? {
        for index in 0..<general.setCount {
            let set = unsafe general.sets[index]
            if let reason = SchemeData.differs(set.id, from: parts.id, &request, fields) { return reason }
            if let reason = SchemeData.differs(set.timestamp, from: parts.timestamp, &request, fields) {
                return reason
            }
        }
        return nil
    }
    private static func differs(
        _ place: ReadLocation, from signed: ByteView, _ request: inout RequestReading, _ fields: borrowing FieldTable
    ) -> SignatureRejection? {
        switch place.find(&request, fields) {
        case .absent: nil
        case .rejected(let reason): reason
        case .value(let value): value.equals(signed) ? nil : .malformedHeader
        }
    }
    private static func single(
        _ place: ReadLocation, _ request: inout RequestReading, _ fields: borrowing FieldTable,
        into value: inout ByteView
    ) -> SignatureRejection? {
        switch place.find(&request, fields) {
        case .absent: return .missingHeader
        case .rejected(let reason): return reason
        case .value(let found):
            value = found
            return found.count == 0 ? .malformedHeader : nil
        }
    }

    private func readGeneralClaims(
        _ parts: inout SignatureParts, into claims: inout SignatureClaims
    )
        -> SignatureRejection?
    {
        guard list == .none else { return readClaims(&parts, into: &claims) }
        guard let text = rest(of: parts.signature) else { return .malformedHeader }
        claims.append(text, as: encoding)
        return SchemeData.outcome(of: claims)
    }
    private func claimEverySet(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ claims: inout SignatureClaims
    ) -> SignatureRejection? {
        var isMissing = true
        for index in 0..<general.setCount {
            var value = ByteView.empty
            switch unsafe SchemeData.single(general.sets[index].signature, &request, fields, into: &value) {
            case .missingHeader: continue
            case let reason?: return reason
            case nil: break
            }
            isMissing = false
            guard let text = rest(of: value) else { return .malformedHeader }
            claims.append(text, as: encoding)
        }
        return isMissing ? .missingHeader : SchemeData.outcome(of: claims)
    }
    /// What stands behind the prefix.
    func rest(of value: ByteView) -> ByteView? {
        guard prefixIgnoresCase else { return SchemeData.rest(of: value, behind: prefix) }
        guard value.count >= prefix.count, value.slice(0, prefix.count).equalsIgnoringCase(lowered: prefix) else {
            return nil
        }
        return value.slice(prefix.count, value.count - prefix.count)
    }

    private func checkGeneralTimestamp(_ text: ByteView, nowSeconds: UInt64) -> SignatureRejection? {
        var claimed: UInt64 = 0
        var isBehind = false
        if timestampForm == .iso8601 {
            guard let time = Timestamp.iso8601(text) else { return .malformedTimestamp }
            (claimed, isBehind) = time
        } else {
            guard let number = Timestamp.number(text) else { return .malformedTimestamp }
            claimed = number
        }
        let now = nowSeconds &* unitsPerSecond
        if now > claimed { return checksPast && now - claimed > pastToleranceUnits ? .staleTimestamp : nil }
        return checksFuture && claimed - now + (isBehind ? 1 : 0) > toleranceUnits ? .futureTimestamp : nil
    }

    private func checkBodyHash(
        _ request: inout RequestReading, _ fields: borrowing FieldTable, _ isThere: inout Bool
    ) -> SignatureRejection? {
        guard general.bodyHash.kind != .none else { return nil }
        switch general.bodyHash.find(&request, fields) {
        case .rejected(let reason): return reason
        case .absent: return signsForm ? nil : .missingHeader
        case .value(let claimed):
            isThere = true
            return BodyHash.equals(claimed, request.body) ? nil : .bodyHashMismatch
        }
    }
    private var signsForm: Bool {
        for index in 0..<pieceCount where unsafe pieces[index].kind == .form { return true }
        return false
    }
}
