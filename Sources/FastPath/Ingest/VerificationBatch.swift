// The requests of one round: each joins with what is needed of it, all signatures are verified at once, then each is
// taken with its verdict. Passive; what becomes of a request is its loop's to say.
//
// Invariants: requests are taken in the order they joined, each once; a request whose signature was queued has its own
// job. Safety: a request's views point into receive buffers and blocks that stay put until `removeAll`.

/// A request that is complete and waits for the round's signatures.
@safe struct PendingRequest {
    var slot: Int
    var base: UnsafePointer<UInt8>
    var head: RequestHead
    var body: ByteView
    var values: SelectedValues
    var sourceIndex: Int
    /// Place among the signatures, -1 when the verdict was there at once.
    var job: Int
    var verdict: RecordVerification
    /// It lies in memory that goes home with the batch.
    var isHeld: Bool

    @inline(__always) var bytes: ByteView { unsafe ByteView(base, count: head.byteCount) }
}

@safe struct VerificationBatch: ~Copyable {
    private var verifier: BatchVerifier
    private let requests: UnsafeMutablePointer<PendingRequest>
    private(set) var count = 0

    static let countMax = 4096

    init(engine: VerifierEngine, scratchBytes: Int) {
        verifier = BatchVerifier(engine: engine, jobCountMax: VerificationBatch.countMax, scratchBytes: scratchBytes)
        unsafe requests = .allocate(capacity: VerificationBatch.countMax)
    }
    deinit { unsafe requests.deallocate() }

    @inline(__always) var isEmpty: Bool { count == 0 }
    @inline(__always) var isFull: Bool { count == VerificationBatch.countMax }

    /// Reads what the request claims. A job that is queued must join.
    @inline(__always) mutating func check(
        _ scheme: SignatureScheme, _ bytes: ByteView, _ head: RequestHead, _ fields: borrowing FieldTable,
        _ body: ByteView, origin: ByteView, nowSeconds: UInt64
    ) -> AddResult {
        verifier.add(
            scheme: scheme, request: bytes, head: head, fields: fields, body: body, origin: origin,
            nowSeconds: nowSeconds)
    }
    @inline(__always) mutating func join(_ request: PendingRequest) {
        precondition(!isFull)
        unsafe requests[count] = request
        count += 1
    }
    mutating func run() { verifier.run() }
    /// Where it lies: some hundred bytes are not copied to be looked at.
    @inline(__always) subscript(index: Int) -> PendingRequest {
        unsafeAddress {
            precondition(index >= 0 && index < count)
            return unsafe UnsafePointer(requests + index)
        }
    }
    /// After `run`: nil = accepted, or decided before.
    @inline(__always) func rejection(_ index: Int) -> SignatureRejection? {
        self[index].job >= 0 ? verifier.verdict(job: self[index].job) : nil
    }
    /// After `run`: the key that a handshake is answered with.
    func matchedKey(_ index: Int) -> SigningKey? {
        self[index].job >= 0 ? verifier.matchedKey(job: self[index].job) : nil
    }
    mutating func removeAll() {
        count = 0
        verifier.removeAll()
    }
}
