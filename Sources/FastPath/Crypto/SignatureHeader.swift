// Reads what a request claims: its id, its timestamp and its signatures, by a compiled scheme. Decides every reason
// that needs no MAC, in one fixed order, so that a request is refused for the same reason on every engine and in
// `sluice verify`:
//
//   missing_header → duplicate_header → malformed_header (empty), for id, timestamp, signature in turn;
//   malformed_header and malformed_timestamp of the contents; stale or future; then signature_mismatch.
//
// Invariant: nothing here accepts. It hands over claims, or a reason.
//
// Safety: claims are written to memory of `SignatureClaims.bytesMax`; `append` checks the room.

/// Where decoded signatures go. They are the sender's claim, not a secret.
@safe struct SignatureClaims {
    /// Sixteen SHA-256 digests. A sender that rotates shows two or three; what has more than fit is malformed.
    static let bytesMax = 512
    /// Of claims with a length of their own: each costs a public-key operation for each key.
    static let costlyCountMax = 16
    let memory: UnsafeMutablePointer<UInt8>
    /// 0 where claims have a length of their own (public keys): then each stands behind its length in two bytes.
    let digestBytes: Int
    let capacity: Int
    private(set) var count = 0
    /// Of `memory`, where claims have a length of their own.
    private(set) var byteCount = 0
    /// True exactly when a well-formed claim was seen that can equal no digest.
    private(set) var sawNeverEqual = false
    private(set) var sawMalformed = false
    private(set) var overflowed = false

    init(memory: UnsafeMutablePointer<UInt8>, digestBytes: Int, capacity: Int = bytesMax) {
        unsafe self.memory = memory
        self.digestBytes = digestBytes
        self.capacity = capacity
    }

    @inline(__always) mutating func append(_ text: ByteView, as encoding: SignatureEncoding) {
        guard digestBytes > 0 else { return appendAnyLength(text, as: encoding) }
        guard (count + 1) * digestBytes <= capacity else {
            overflowed = true
            return
        }
        unsafe note(TextEncoding.decode(text, as: encoding, wanted: digestBytes, into: memory + count * digestBytes))
    }
    @inline(__always) private mutating func note(_ result: DecodeResult) {
        switch result {
        case .bytes: count += 1
        case .neverEqual: sawNeverEqual = true
        case .malformed: sawMalformed = true
        }
    }
    @inline(never) private mutating func appendAnyLength(_ text: ByteView, as encoding: SignatureEncoding) {
        var digits = text.count
        if encoding != .hex { while digits > 0, text[digits - 1] == 0x3D { digits -= 1 } }
        let wanted = encoding == .hex ? digits / 2 : digits * 3 / 4
        guard count < SignatureClaims.costlyCountMax, wanted < 1 << 16, byteCount + 2 + wanted <= capacity else {
            overflowed = true
            return
        }
        let before = count
        unsafe note(TextEncoding.decode(text, as: encoding, wanted: wanted, into: memory + byteCount + 2))
        guard count > before else { return }
        unsafe memory[byteCount] = UInt8(truncatingIfNeeded: wanted >> 8)
        unsafe memory[byteCount + 1] = UInt8(truncatingIfNeeded: wanted)
        byteCount += 2 + wanted
    }
    mutating func noteMalformed() { sawMalformed = true }
    mutating func noteNeverEqual() { sawNeverEqual = true }
}

/// What a request says about itself; views into the request.
struct SignatureParts {
    var signature = ByteView.empty
    var id = ByteView.empty
    var timestamp = ByteView.empty
}

extension SchemeData {
    /// True exactly when its signature stands in headers alone and a request has none of them.
    func lacksSignature(bytes: ByteView, fields: borrowing FieldTable) -> Bool {
        for index in 0..<general.setCount {
            guard let header = unsafe general.sets[index].signature.header,
                fields.firstIndex(of: header, in: bytes) < 0
            else { return false }
        }
        return true
    }

    /// The scheme to check by: the first of the alternatives whose signature header the request has, else the first.
    @inline(__always)
    static func chosenPlain(
        _ scheme: SignatureScheme, bytes: ByteView, fields: borrowing FieldTable
    )
        -> UnsafePointer<
            SchemeData
        >
    {
        guard unsafe scheme.data.pointee.alternative != nil else { return unsafe scheme.data }
        var next: UnsafePointer<SchemeData>? = unsafe scheme.data
        while let candidate = unsafe next {
            for index in unsafe 0..<candidate.pointee.headersCount
            where unsafe fields.firstIndex(of: candidate.pointee.headers[index].signature, in: bytes) >= 0 {
                return unsafe candidate
            }
            unsafe next = candidate.pointee.alternative
        }
        return unsafe scheme.data
    }

    /// Nil when all headers that the scheme needs are there, once each and not empty.
    @inline(__always)
    func gather(
        bytes: ByteView, fields: borrowing FieldTable, into parts: inout SignatureParts
    )
        -> SignatureRejection?
    {
        var names = unsafe headers[headersCount - 1]
        for index in 0..<headersCount - 1 {
            let set = unsafe headers[index]
            if fields.firstIndex(of: set.signature, in: bytes) >= 0 {
                names = set
                break
            }
        }
        if let id = names.id, let reason = SchemeData.single(id, bytes, fields, into: &parts.id) { return reason }
        if timestampPlace == .value, let name = names.timestamp,
            let reason = SchemeData.single(name, bytes, fields, into: &parts.timestamp)
        {
            return reason
        }
        if let reason = SchemeData.single(names.signature, bytes, fields, into: &parts.signature) { return reason }
        return hasRivalPlaces && contradicts(bytes, fields, parts) ? .malformedHeader : nil
    }
    /// True when another set says something else of the id or the time, which is not signed: whoever reads the event by
    /// that set's places (a dedup key, a receiver) would take what anyone can write.
    @inline(never)
    private func contradicts(_ bytes: ByteView, _ fields: borrowing FieldTable, _ parts: SignatureParts) -> Bool {
        for index in 0..<headersCount {
            if let id = unsafe headers[index].id, SchemeData.differs(id, from: parts.id, bytes, fields) { return true }
            if timestampPlace == .value, let time = unsafe headers[index].timestamp,
                SchemeData.differs(time, from: parts.timestamp, bytes, fields)
            {
                return true
            }
        }
        return false
    }
    private static func differs(
        _ name: HeaderName, from signed: ByteView, _ bytes: ByteView, _ fields: borrowing FieldTable
    ) -> Bool {
        var place = fields.firstIndex(of: name, in: bytes)
        while place >= 0 {
            if !bytes.slice(fields[place].value).equals(signed) { return true }
            place = fields.firstIndex(of: name, in: bytes, from: place + 1)
        }
        return false
    }

    @inline(__always)
    private static func single(
        _ name: HeaderName, _ bytes: ByteView, _ fields: borrowing FieldTable, into value: inout ByteView
    ) -> SignatureRejection? {
        let first = fields.firstIndex(of: name, in: bytes)
        guard first >= 0 else { return .missingHeader }
        guard fields.firstIndex(of: name, in: bytes, from: first + 1) < 0 else { return .duplicateHeader }
        value = bytes.slice(fields[first].value)
        return value.count == 0 ? .malformedHeader : nil
    }

    /// Fills the claims (and the timestamp when it is in the list). Nil when at least one claim can be compared.
    @inline(__always)
    func readClaims(_ parts: inout SignatureParts, into claims: inout SignatureClaims) -> SignatureRejection? {
        switch list {
        case .none:
            guard let text = SchemeData.rest(of: parts.signature, behind: prefix) else { return .malformedHeader }
            claims.append(text, as: encoding)
        case .space:
            readEntries(parts.signature, separator: 0x20, assignment: 0x2C, parts: &parts, into: &claims)
        case .comma:
            readEntries(parts.signature, separator: 0x2C, assignment: 0x3D, parts: &parts, into: &claims)
        case .semicolon:
            readEntries(parts.signature, separator: 0x3B, assignment: 0x3D, parts: &parts, into: &claims)
        }
        if timestampPlace == .list, parts.timestamp.count == 0 { return .malformedHeader }
        return SchemeData.outcome(of: claims)
    }
    @inline(__always) static func outcome(of claims: SignatureClaims) -> SignatureRejection? {
        if claims.overflowed { return .malformedHeader }
        if claims.count > 0 { return nil }
        // A list without an entry that counts is a mismatch when it is a well-formed list of other versions.
        if claims.sawNeverEqual { return .signatureMismatch }
        return .malformedHeader
    }

    private func readEntries(
        _ header: ByteView, separator: UInt8, assignment: UInt8, parts: inout SignatureParts,
        into claims: inout SignatureClaims
    ) {
        var start = 0
        var timestampCount = 0
        var sawOtherVersion = false
        while start <= header.count {
            var end = start
            var middle = -1
            while end < header.count, header[end] != separator {
                if middle < 0, header[end] == assignment { middle = end }
                end += 1
            }
            while start < end, header[start] == 0x20 || header[start] == 0x09 { start += 1 }
            if middle < 0 {
                if end > start { claims.noteMalformed() }
            } else {
                let key = header.slice(start, middle - start)
                let value = header.slice(middle + 1, end - middle - 1)
                if key.equals(listKey) {
                    if value.count == 0 { claims.noteMalformed() } else { claims.append(value, as: encoding) }
                } else if timestampPlace == .list, key.equals(timestampKey) {
                    timestampCount += 1
                    parts.timestamp = value
                } else {
                    sawOtherVersion = true
                }
            }
            start = end + 1
        }
        if timestampCount > 1 { parts.timestamp = .empty }
        if sawOtherVersion, list == .space, !claims.sawMalformed { claims.noteNeverEqual() }
    }

    @inline(__always) static func rest(of value: ByteView, behind prefix: ByteView) -> ByteView? {
        guard value.count >= prefix.count, value.slice(0, prefix.count).equals(prefix) else { return nil }
        return value.slice(prefix.count, value.count - prefix.count)
    }

    /// The window of a plain scheme's timestamp. A difference of exactly the tolerance passes, as in the providers'
    /// libraries.
    @inline(__always)
    func checkTimestamp(_ text: ByteView, nowSeconds: UInt64) -> SignatureRejection? {
        // 16 digits: past any unit's date, far from overflow.
        guard text.count > 0, text.count <= 16 else { return .malformedTimestamp }
        var claimed: UInt64 = 0
        for index in 0..<text.count {
            let digit = text[index] &- 0x30
            guard digit < 10 else { return .malformedTimestamp }
            claimed = claimed * 10 + UInt64(digit)
        }
        let now = nowSeconds &* unitsPerSecond
        if now > claimed { return now - claimed > pastToleranceUnits ? .staleTimestamp : nil }
        return checksFuture && claimed - now > toleranceUnits ? .futureTimestamp : nil
    }
}

extension SignatureScheme {
    /// True exactly when no alternative can find a signature in a request of these headers, whatever its body is.
    func lacksSignature(bytes: ByteView, fields: borrowing FieldTable) -> Bool {
        var next: UnsafePointer<SchemeData>? = unsafe data
        while let candidate = unsafe next {
            guard unsafe candidate.pointee.lacksSignature(bytes: bytes, fields: fields) else { return false }
            unsafe next = candidate.pointee.alternative
        }
        return true
    }
}
