// The contract's envelope as a loop reads it: what stands in a request beside its signature, what is wrong with it, and
// what its answer repeats. Passive, one pass over the fields, no allocation.
//
// Invariants: what is wrong is found in the order in which the contract checks (docs/contract.md), some of it before
// the signature and some behind it; the signature itself is the source's scheme, as of every source. The same words as
// on the control listener (`EdgeCode`); a test holds them together.
// Safety: views are of the request, for the call.

/// Of a source whose requests carry the envelope.
package struct EnvelopeRule: Sendable {
    /// The UUID of the source's tenant, in small letters; in the snapshot's memory.
    package var tenant: ByteView

    package init(tenant: ByteView) {
        precondition(tenant.count == EnvelopeID.byteCount)
        self.tenant = tenant
    }
}

/// A UUID as it was written.
@safe struct EnvelopeID: BitwiseCopyable, Sendable {
    static let byteCount = ByteView.uuidByteCount
    private var words: (UInt64, UInt64, UInt64, UInt64)
    private var rest: UInt32

    /// Traps unless it is as long as one.
    @inline(__always) init(_ text: ByteView) {
        precondition(text.count == EnvelopeID.byteCount)
        words = (
            text.load(0, as: UInt64.self), text.load(8, as: UInt64.self), text.load(16, as: UInt64.self),
            text.load(24, as: UInt64.self)
        )
        rest = text.load(32, as: UInt32.self)
    }
    /// Of its two halves, spelled in small letters. Safety: `memory` has room for `byteCount`.
    init(_ halves: (high: UInt64, low: UInt64), writtenTo memory: UnsafeMutablePointer<UInt8>) {
        var place = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                unsafe memory[place] = 0x2D
                place += 1
            }
            let half = digit < 16 ? halves.high : halves.low
            let nibble = UInt8(truncatingIfNeeded: half >> UInt64(60 - digit % 16 * 4)) & 15
            unsafe memory[place] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble
            place += 1
        }
        unsafe self.init(ByteView(UnsafePointer(memory), count: EnvelopeID.byteCount))
    }
    /// Safety: `memory` has room for `byteCount`.
    @inline(__always) func write(to memory: UnsafeMutablePointer<UInt8>) {
        let raw = UnsafeMutableRawPointer(memory)
        unsafe raw.storeBytes(of: words.0, as: UInt64.self)
        unsafe raw.storeBytes(of: words.1, toByteOffset: 8, as: UInt64.self)
        unsafe raw.storeBytes(of: words.2, toByteOffset: 16, as: UInt64.self)
        unsafe raw.storeBytes(of: words.3, toByteOffset: 24, as: UInt64.self)
        unsafe raw.storeBytes(of: rest, toByteOffset: 32, as: UInt32.self)
    }
}

/// New ids, of version 4: each differs from those before it, and nothing hangs on whether one can be guessed.
struct EnvelopeIDs {
    private var state: UInt64 = 0

    mutating func next(_ salt: UInt64, into memory: UnsafeMutablePointer<UInt8>) -> EnvelopeID {
        let high = word(salt) & ~0xF000 | 4 << 12
        let low = word(salt) & ~(0b11 << 62) | 0b10 << 62
        return unsafe EnvelopeID((high, low), writtenTo: memory)
    }
    /// SplitMix64 over what was given so far.
    private mutating func word(_ salt: UInt64) -> UInt64 {
        state = state &+ 0x9E37_79B9_7F4A_7C15 ^ salt
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// What of a request its answer needs.
struct EnvelopeTerms: BitwiseCopyable {
    /// Nil where the request has none that is one.
    var id: EnvelopeID?
    /// It named `v0`; answers name the version of the request.
    var isFirstVersion = false
    /// There is a signature, right or wrong.
    var isSigned = false
    /// What is wrong behind the signature.
    var late: EnvelopeFault?
}

/// The fields of the envelope, looked up once for the loop.
struct EnvelopeFields {
    private let requestID = HeaderName("x-request-id")
    private let version = HeaderName("x-zen-contract-version")
    private let tenant = HeaderName("x-tenant-id")
    private let mediaType = HeaderName("content-type")
    private let key = HeaderName("x-idempotency-key")
    private let signature = HeaderName("x-signature")

    func read(_ fields: borrowing FieldTable, _ bytes: ByteView) -> ReadEnvelope {
        var read = ReadEnvelope()
        for index in 0..<fields.count {
            let field = fields[index]
            switch field.hash {
            case requestID.hash: take(requestID, field, bytes, &read.requestID)
            case version.hash: take(version, field, bytes, &read.version)
            case tenant.hash: take(tenant, field, bytes, &read.tenant)
            case mediaType.hash: take(mediaType, field, bytes, &read.mediaType)
            case key.hash: take(key, field, bytes, &read.key)
            case signature.hash: take(signature, field, bytes, &read.signature)
            default: continue
            }
        }
        return read
    }
    /// One that comes twice is as good as none that is right.
    @inline(__always) private func take(
        _ name: HeaderName, _ field: HeaderField, _ bytes: ByteView, _ value: inout ByteView?
    ) {
        guard bytes.slice(field.name).equalsIgnoringCase(lowered: name.view) else { return }
        value = value == nil ? bytes.slice(field.value) : .empty
    }
}

struct ReadEnvelope {
    /// Nil = absent; empty also where it is there twice.
    var requestID: ByteView?
    var version: ByteView?
    var tenant: ByteView?
    var mediaType: ByteView?
    var key: ByteView?
    var signature: ByteView?

    var terms: EnvelopeTerms {
        var terms = EnvelopeTerms()
        if let requestID, requestID.isUUID(version: 0x34) { terms.id = EnvelopeID(requestID) }
        terms.isFirstVersion = version?.equals("v0") ?? false
        terms.isSigned = signature != nil
        return terms
    }
    /// Before the signature is looked at. `terms`: its own; `rule` nil: of any tenant.
    func fault(_ terms: EnvelopeTerms, _ rule: EnvelopeRule?) -> EnvelopeFault? {
        guard requestID != nil else { return .requestIDMissing }
        guard terms.id != nil else { return .requestIDInvalid }
        guard let version else { return .versionMissing }
        guard terms.isFirstVersion || version.equals("v1alpha1") else { return .versionUnsupported }
        guard let tenant else { return .tenantMissing }
        let isKnown = rule.map { tenant.equalsIgnoringCase(lowered: $0.tenant) } ?? false
        guard isKnown || tenant.isUUID else { return .tenantInvalid }
        // What its bytes spell would be the same; the contract has one spelling.
        if let signature {
            for index in 0..<signature.count where signature[index] &- 0x41 < 26 { return .signatureSpelling }
        }
        return nil
    }
    /// Behind the signature.
    func lateFault(_ rule: EnvelopeRule?, bodyCount: Int) -> EnvelopeFault? {
        if bodyCount > 0, !isJSON { return .mediaType }
        guard let tenant, rule.map({ tenant.equalsIgnoringCase(lowered: $0.tenant) }) ?? true else {
            return .otherTenant
        }
        if let key {
            guard key.isUUID else { return .keyInvalid }
            guard let requestID, ReadEnvelope.areEqual(key, requestID) else { return .keyOther }
        }
        return bodyCount == 0 ? .bodyEmpty : nil
    }
    /// `application/json`, with parameters or without.
    private var isJSON: Bool {
        guard let mediaType else { return false }
        let wanted: StaticString = "application/json"
        let count = wanted.utf8CodeUnitCount
        guard mediaType.count >= count, mediaType.slice(0, count).equalsIgnoringCase(wanted) else { return false }
        guard mediaType.count > count else { return true }
        return mediaType[count] == 0x3B || CharacterClasses.isBlank(mediaType[count])
    }
    private static func areEqual(_ left: ByteView, _ right: ByteView) -> Bool {
        guard left.count == right.count else { return false }
        for index in 0..<left.count where left[index] | 0x20 != right[index] | 0x20 { return false }
        return true
    }
}

// For worker threads and tests; these allocate.
extension CapturedRequest {
    /// What is wrong with the envelope before the signature; nil = nothing. `tenant`: its UUID; nil = any.
    package func envelopeFault(tenant: String?) -> SignatureRejection? {
        withEnvelope(tenant) { read, rule in read.fault(read.terms, rule)?.reason }
    }
    /// The same behind a signature that is right. `selectors`: where the event's type is.
    package func envelopeFault(
        tenant: String?, behindSignature selectors: EventSelectors
    ) -> SignatureRejection? {
        let fault = withEnvelope(tenant) { read, rule in read.lateFault(rule, bodyCount: body.count) }
        if let fault { return fault.reason }
        return select(selectors).type == nil ? EnvelopeFault.typeMissing.reason : nil
    }
    private func withEnvelope<Value>(_ tenant: String?, _ look: (ReadEnvelope, EnvelopeRule?) -> Value) -> Value {
        bytes.withView { view in
            let read = EnvelopeFields().read(fields, view)
            guard let tenant else { return look(read, nil) }
            return Array(tenant.utf8).withView { look(read, EnvelopeRule(tenant: $0)) }
        }
    }
}
