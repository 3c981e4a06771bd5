// All signatures that one tick of a loop brought, verified as one batch. Owned by one loop: `add` for each request,
// `run` once,
// `verdict` for each, `removeAll`.
//
// Invariants: a job is accepted only by a claim that equals a digest computed here, for this job, in this batch;
// whatever is left over, skipped or failed is a mismatch. No allocation after `init`. Where memory for a contiguous
// message runs out the job is computed piece by piece; the answer is the same, only slower. A key outside its window is
// computed with by no pass.
//
// Safety: views given to `add` must stay valid until `run` has returned. All own memory is taken in `init` and freed in
// `deinit`; indexes are checked against the counts.

import CShims

package enum AddResult: Equatable, Sendable {
    /// The verdict comes with `run`.
    case queued(job: Int)
    /// Decided without a MAC (a token).
    case accepted
    case rejected(SignatureRejection)
    /// No room for another job: run first.
    case full
}

@safe package struct BatchVerifier: ~Copyable {
    package let engine: VerifierEngine
    package let jobCountMax: Int
    package private(set) var jobCount = 0
    private let jobs: UnsafeMutablePointer<VerifierJob>
    /// What is signed in the jobs whose scheme was read the general way.
    private let messages: UnsafeMutablePointer<ComposedMessage>
    private let claims: UnsafeMutablePointer<UInt8>
    private let tags: UnsafeMutablePointer<UInt8>
    /// Jobs that wait for a MAC in the current pass, by place.
    private let waiting: UnsafeMutablePointer<Int32>
    private let scratch: UnsafeMutablePointer<UInt8>
    private let scratchBytes: Int
    private var scratchUsed = 0
    /// For what the general way decodes and composes; its pages are touched by such schemes alone.
    private let composed: UnsafeMutablePointer<UInt8>
    private var composedUsed = 0
    private let form = FormParameters()
    /// A request that needs more is refused.
    package static let composedBytesMax = 256 << 10
    /// Nil exactly when the engine is OpenSSL.
    private let batch: OpaquePointer?
    private let batchSizeMin: (sha256: Int?, sha1: Int?, sha512: Int?)

    /// `scratchBytes`: for messages that must be copied to be contiguous (multi-buffer, and a scheme that signs more
    /// than the body). An engine that this processor does not have becomes OpenSSL; `engine` says which it is.
    package init(engine: VerifierEngine, jobCountMax: Int, scratchBytes: Int) {
        precondition(jobCountMax > 0 && jobCountMax <= 1 << 16 && scratchBytes >= 0)
        unsafe batch = engine == .multiBuffer ? sluice_batch_create(UInt32(jobCountMax)) : nil
        self.engine = unsafe batch == nil ? .openssl : .multiBuffer
        self.jobCountMax = jobCountMax
        self.scratchBytes = unsafe batch == nil ? 0 : scratchBytes
        batchSizeMin = (
            VerifierEngine.batchSizeMin(.sha256), VerifierEngine.batchSizeMin(.sha1),
            VerifierEngine.batchSizeMin(.sha512)
        )
        unsafe jobs = .allocate(capacity: jobCountMax)
        unsafe messages = .allocate(capacity: jobCountMax)
        unsafe composed = .allocate(capacity: BatchVerifier.composedBytesMax)
        unsafe claims = .allocate(capacity: jobCountMax * SignatureClaims.bytesMax)
        unsafe tags = .allocate(capacity: jobCountMax * MACAlgorithm.digestBytesMax)
        unsafe tags.initialize(repeating: 0, count: jobCountMax * MACAlgorithm.digestBytesMax)
        unsafe waiting = .allocate(capacity: jobCountMax)
        unsafe scratch = .allocate(capacity: max(self.scratchBytes, 1))
    }
    deinit {
        unsafe sluice_batch_destroy(batch)
        unsafe sluice_memory_cleanse(tags, jobCountMax * MACAlgorithm.digestBytesMax)
        unsafe jobs.deallocate()
        unsafe messages.deallocate()
        unsafe composed.deallocate()
        form.deallocate()
        unsafe claims.deallocate()
        unsafe tags.deallocate()
        unsafe waiting.deallocate()
        unsafe scratch.deallocate()
    }

    /// Bytes taken in `init`, without the multi-buffer library's own.
    package var memoryBytes: Int {
        jobCountMax
            * (MemoryLayout<VerifierJob>.stride + MemoryLayout<ComposedMessage>.stride + SignatureClaims.bytesMax
                + MACAlgorithm.digestBytesMax + 4) + scratchBytes + BatchVerifier.composedBytesMax
            + FormParameters.memoryBytes
    }

    package mutating func removeAll() {
        jobCount = 0
        scratchUsed = 0
        composedUsed = 0
    }

    /// Reads what the request claims and queues the MAC, or decides at once. `bytes` are those that `head` and `fields`
    /// mean. `origin`: scheme and authority as the sender used them (`https://hooks.example.com`), empty when unknown;
    /// `{url}` is it and the target.
    @_noAllocation @_noLocks
    package mutating func add(
        scheme: SignatureScheme, request bytes: ByteView, head: RequestHead, fields: borrowing FieldTable,
        body: ByteView, origin: ByteView = .empty, nowSeconds: UInt64
    ) -> AddResult {
        var data = unsafe scheme.data
        if unsafe data.pointee.isPlainChain {
            unsafe data = SchemeData.chosenPlain(scheme, bytes: bytes, fields: fields)
        } else {
            var request = unsafe RequestReading(
                bytes: bytes, head: head, body: body, origin: origin, nowSeconds: nowSeconds, form: form,
                composed: ComposedBytes(memory: composed, capacity: BatchVerifier.composedBytesMax))
            request.composed.count = composedUsed
            unsafe data = SchemeData.chosen(scheme, &request, fields)
            if unsafe !data.pointee.isPlain { return unsafe addGeneral(data, &request, fields) }
        }
        var parts = SignatureParts()
        if let reason = unsafe data.pointee.gather(bytes: bytes, fields: fields, into: &parts) {
            return .rejected(reason)
        }
        if unsafe data.pointee.kind == .token {
            return unsafe BatchVerifier.compareToken(data, parts.signature, nowSeconds: nowSeconds)
        }
        guard jobCount < jobCountMax else { return .full }
        var claimed = unsafe SignatureClaims(
            memory: claims + jobCount * SignatureClaims.bytesMax, digestBytes: data.pointee.algorithm.digestBytes)
        let reason = unsafe data.pointee.readClaims(&parts, into: &claimed)
        // A claim that can equal nothing is a mismatch, and a mismatch comes after the timestamp's reasons.
        if let reason, reason != .signatureMismatch { return .rejected(reason) }
        if unsafe data.pointee.timestampPlace != .none,
            let late = unsafe data.pointee.checkTimestamp(parts.timestamp, nowSeconds: nowSeconds)
        {
            return .rejected(late)
        }
        if unsafe reason != nil || data.pointee.refuses(body: body) { return unsafe .rejected(data.pointee.mismatch) }
        let job = jobCount
        unsafe jobs[job] = VerifierJob(
            scheme: data, id: parts.id, timestamp: parts.timestamp, body: body, message: .empty, hasMessage: false,
            isComposed: false, claimCount: UInt32(claimed.count), matchedKey: -1, key: 0, nowSeconds: nowSeconds)
        if unsafe batch != nil { makeContiguous(job) }
        jobCount += 1
        return .queued(job: job)
    }

    /// A scheme that is not plain. `request.composed` begins where the batch's other requests end.
    @inline(never)
    private mutating func addGeneral(
        _ data: UnsafePointer<SchemeData>, _ request: inout RequestReading, _ fields: borrowing FieldTable
    ) -> AddResult {
        // Public keys are a worker thread's; nothing that comes here by mistake may pass.
        guard unsafe data.pointee.kind != .costly else { return unsafe .rejected(data.pointee.mismatch) }
        guard jobCount < jobCountMax else { return .full }
        var parts = SignatureParts()
        var message = ComposedMessage()
        var claimed = unsafe SignatureClaims(
            memory: claims + jobCount * SignatureClaims.bytesMax, digestBytes: data.pointee.algorithm.digestBytes)
        let reason = unsafe data.pointee.read(&request, fields, parts: &parts, claims: &claimed, message: &message)
        // With less room than was needed nothing that was read counts. Alone in the batch it will never fit.
        if request.composed.overflowed { return composedUsed > 0 ? .full : .rejected(.malformedHeader) }
        if let reason { return .rejected(reason) }
        if unsafe data.pointee.kind != .mac {
            return unsafe BatchVerifier.compareToken(data, parts.signature, nowSeconds: request.nowSeconds)
        }
        let job = jobCount
        unsafe jobs[job] = VerifierJob(
            scheme: data, id: parts.id, timestamp: parts.timestamp, body: request.body, message: .empty,
            hasMessage: false, isComposed: true, claimCount: UInt32(claimed.count), matchedKey: -1, key: 0,
            nowSeconds: request.nowSeconds)
        unsafe messages[job] = message
        composedUsed = request.composed.count
        if unsafe batch != nil { makeContiguous(job) }
        jobCount += 1
        return .queued(job: job)
    }

    /// Computes every job's MACs: all first keys as one batch, then the second keys of what did not match, and so on;
    /// after the last key the same again for what has another spelling of its URL.
    @_noAllocation @_noLocks
    package mutating func run() {
        var pass = 0
        while true {
            var count = 0
            var isDone = true
            for job in 0..<jobCount where unsafe jobs[job].matchedKey < 0 && passCount(job) > pass {
                isDone = false
                guard beginPass(job, pass) else { continue }
                unsafe waiting[count] = Int32(truncatingIfNeeded: job)
                count += 1
            }
            if isDone { break }
            if let batch = unsafe batch {
                unsafe runBatch(batch, count: count)
            } else {
                for place in 0..<count { unsafe computeOne(Int(waiting[place])) }
            }
            for place in 0..<count { unsafe compare(Int(waiting[place])) }
            pass += 1
        }
    }
    @inline(__always) private func passCount(_ job: Int) -> Int {
        let keyCount = unsafe jobs[job].scheme.pointee.keyCount
        return unsafe jobs[job].isComposed && messages[job].hasOther ? 2 * keyCount : keyCount
    }
    /// Sets the key that the job is computed with; false when it does not count now.
    @inline(__always) private mutating func beginPass(_ job: Int, _ pass: Int) -> Bool {
        let scheme = unsafe jobs[job].scheme
        var key = pass
        if unsafe key >= scheme.pointee.keyCount {
            unsafe key -= scheme.pointee.keyCount
            if key == 0 { takeOtherMessage(job) }
        }
        unsafe jobs[job].key = Int32(truncatingIfNeeded: key)
        guard let windows = unsafe scheme.pointee.windows else { return true }
        return unsafe windows[key].contains(jobs[job].nowSeconds)
    }
    @inline(never) private mutating func takeOtherMessage(_ job: Int) {
        unsafe messages[job].before = messages[job].otherBefore
        unsafe messages[job].after = messages[job].otherAfter
        unsafe jobs[job].hasMessage = false
        if unsafe batch != nil { makeContiguous(job) }
    }

    /// After `run`: nil = accepted.
    package func verdict(job: Int) -> SignatureRejection? {
        precondition(job >= 0 && job < jobCount)
        return unsafe jobs[job].matchedKey >= 0 ? nil : jobs[job].scheme.pointee.mismatch
    }
    /// After `run`: the key whose digest equalled a claim (a handshake is answered with it); nil when none did.
    package func matchedKey(job: Int) -> SigningKey? {
        precondition(job >= 0 && job < jobCount)
        let place = unsafe Int(jobs[job].matchedKey)
        return unsafe place < 0 ? nil : jobs[job].scheme.pointee.keys[place]
    }
}

/// One message and what it must equal. Trivial.
/// Safety: borrows the request's bytes and its source's scheme, which outlive the batch.
@safe struct VerifierJob {
    var scheme: UnsafePointer<SchemeData>
    var id: ByteView
    var timestamp: ByteView
    var body: ByteView
    /// All signed pieces in one place; meaningful exactly when `hasMessage`.
    var message: ByteView
    var hasMessage: Bool
    /// True exactly when `messages` has what is signed, and the scheme's pieces are not looked at.
    var isComposed: Bool
    var claimCount: UInt32
    /// Place of the key whose digest equalled a claim, -1 while none did.
    var matchedKey: Int32
    /// Place of the key that the current pass computes with.
    var key: Int32
    var nowSeconds: UInt64

    /// Of a plain scheme, which has these four alone.
    @inline(__always) func view(of piece: SignedPiece) -> ByteView {
        switch piece.kind {
        case .literal: piece.literal
        case .id: id
        case .timestamp: timestamp
        case .body: body
        case .method, .url, .path, .query, .form, .value: .empty
        }
    }
}

extension BatchVerifier {
    @inline(__always)
    private static func compareToken(
        _ data: UnsafePointer<SchemeData>, _ value: ByteView, nowSeconds: UInt64
    ) -> AddResult {
        guard let token = unsafe data.pointee.kind == .basic ? credentials(value) : data.pointee.rest(of: value) else {
            return .rejected(.malformedHeader)
        }
        var matches: Int32 = 0
        // Every token is compared, so that the time does not tell which one was near.
        for index in unsafe 0..<data.pointee.tokenCount {
            let known = unsafe data.pointee.tokens[index]
            if let windows = unsafe data.pointee.windows, unsafe !windows[index].contains(nowSeconds) { continue }
            if known.count == token.count { unsafe matches |= sluice_digest_equal(known.base, token.base, token.count) }
        }
        return unsafe matches != 0 ? .accepted : .rejected(data.pointee.mismatch)
    }
    /// The base 64 behind `Basic`, as it came; nil when it is none. One text for one value, so it is compared as text.
    private static func credentials(_ value: ByteView) -> ByteView? {
        let scheme: StaticString = "basic "
        guard value.count > 6,
            unsafe value.slice(0, 6).equalsIgnoringCase(lowered: ByteView(scheme.utf8Start, count: 6))
        else { return nil }
        var start = 6
        while start < value.count, value[start] == 0x20 { start += 1 }
        let text = value.slice(start, value.count - start)
        var nothing: UInt8 = 0
        // Of no length that is wanted: only looked through, nothing is written.
        return unsafe TextEncoding.decode(text, as: .base64, wanted: -1, into: &nothing) == .malformed ? nil : text
    }

    /// Gives the job a contiguous message where the multi-buffer engine can use one.
    @inline(__always)
    private mutating func makeContiguous(_ job: Int) {
        let data = unsafe jobs[job].scheme
        if unsafe data.pointee.signsBodyAlone {
            unsafe jobs[job].message = jobs[job].body
            unsafe jobs[job].hasMessage = true
            return
        }
        if unsafe jobs[job].isComposed { return makeComposedContiguous(job) }
        var bytes = 0
        for index in unsafe 0..<data.pointee.pieceCount {
            unsafe bytes += jobs[job].view(of: data.pointee.pieces[index]).count
        }
        guard bytes <= Int(SLUICE_BATCH_BYTES_MAX), bytes <= scratchBytes - scratchUsed else { return }
        let start = unsafe scratch + scratchUsed
        var place = unsafe start
        for index in unsafe 0..<data.pointee.pieceCount {
            let piece = unsafe jobs[job].view(of: data.pointee.pieces[index])
            unsafe UnsafeMutableRawPointer(place).copyMemory(from: piece.base, byteCount: piece.count)
            unsafe place += piece.count
        }
        unsafe jobs[job].message = ByteView(start, count: bytes)
        unsafe jobs[job].hasMessage = true
        scratchUsed += bytes
    }

    @inline(never)
    private mutating func makeComposedContiguous(_ job: Int) {
        let message = unsafe messages[job]
        if !message.hasBody {
            unsafe jobs[job].message = message.before
            unsafe jobs[job].hasMessage = true
            return
        }
        let body = unsafe jobs[job].body
        let bytes = message.before.count + body.count + message.after.count
        guard bytes <= Int(SLUICE_BATCH_BYTES_MAX), bytes <= scratchBytes - scratchUsed else { return }
        var room = unsafe ComposedBytes(memory: scratch + scratchUsed, capacity: bytes)
        room.append(message.before)
        room.append(body)
        room.append(message.after)
        unsafe jobs[job].message = room.written(since: 0)
        unsafe jobs[job].hasMessage = true
        scratchUsed += bytes
    }

    /// One MAC by OpenSSL, of the pieces where they lie.
    @inline(__always)
    private func computeOne(_ job: Int) {
        let data = unsafe jobs[job].scheme
        var stream = unsafe MACStream(data.pointee.keys[Int(jobs[job].key)])
        if unsafe jobs[job].hasMessage {
            unsafe stream.add(jobs[job].message)
        } else if unsafe jobs[job].isComposed {
            unsafe stream.add(messages[job].before)
            if unsafe messages[job].hasBody { unsafe stream.add(jobs[job].body) }
            unsafe stream.add(messages[job].after)
        } else {
            for index in unsafe 0..<data.pointee.pieceCount {
                unsafe stream.add(jobs[job].view(of: data.pointee.pieces[index]))
            }
        }
        unsafe stream.finish(into: tags + job * MACAlgorithm.digestBytesMax)
    }

    /// Each claim against the digest, all of them, in constant time for each.
    @inline(__always)
    private func compare(_ job: Int) {
        let digestBytes = unsafe jobs[job].scheme.pointee.algorithm.digestBytes
        let tag = unsafe tags + job * MACAlgorithm.digestBytesMax
        var claim = unsafe claims + job * SignatureClaims.bytesMax
        var matches: Int32 = 0
        for _ in unsafe 0..<jobs[job].claimCount {
            unsafe matches |= sluice_digest_equal(tag, claim, digestBytes)
            unsafe claim += digestBytes
        }
        if matches != 0 { unsafe jobs[job].matchedKey = jobs[job].key }
    }

    @inline(__always)
    private func runBatch(_ batch: OpaquePointer, count: Int) {
        unsafe runBatch(batch, .sha256, batchSizeMin.sha256, count: count)
        unsafe runBatch(batch, .sha1, batchSizeMin.sha1, count: count)
        unsafe runBatch(batch, .sha512, batchSizeMin.sha512, count: count)
    }
    /// A pass of the lanes takes as long as its longest message. So a message goes in only when its company brings
    /// enough blocks (`VerifierEngine.batchSizeMin`); the others are computed one by one.
    private func runBatch(
        _ batch: OpaquePointer, _ algorithm: MACAlgorithm, _ batchSizeMin: Int?, count: Int
    ) {
        // Each pass may throw out long messages, after which others may be too long for the rest; what is left after
        // four passes goes in, at a cost and not at a risk.
        var blockCount = Int.max
        var blocksMax = batchSizeMin == nil ? 0 : Int.max
        for _ in 0..<4 where blocksMax > 0 {
            var sum = 0
            for place in 0..<count {
                let blocks = unsafe batchBlocks(Int(waiting[place]), algorithm)
                if blocks > 0 && blocks <= blocksMax { sum += blocks }
            }
            if sum == blockCount { break }
            blockCount = sum
            blocksMax = sum / ((batchSizeMin ?? 0) + 1)
        }
        var placed: UInt32 = 0
        for place in 0..<count {
            let job = unsafe Int(waiting[place])
            guard unsafe jobs[job].scheme.pointee.algorithm == algorithm else { continue }
            let blocks = batchBlocks(job, algorithm)
            guard blocks > 0 && blocks <= blocksMax else {
                computeOne(job)
                continue
            }
            unsafe sluice_batch_place(
                batch, placed, jobs[job].scheme.pointee.keys[Int(jobs[job].key)].midstates, jobs[job].message.base,
                jobs[job].message.count, tags + job * MACAlgorithm.digestBytesMax)
            placed += 1
        }
        guard placed > 0 else { return }
        unsafe sluice_batch_run(batch, algorithm.code, placed)
        // In the order in which they were placed: what the library did not complete is computed one by one.
        var index: UInt32 = 0
        for place in 0..<count {
            let job = unsafe Int(waiting[place])
            let blocks = batchBlocks(job, algorithm)
            guard blocks > 0 && blocks <= blocksMax else { continue }
            if unsafe sluice_batch_completed(batch, index) == 0 { computeOne(job) }
            index += 1
        }
    }
    /// How long a job keeps a lane, in blocks of 64 bytes; 0 when the batch cannot take it.
    @inline(__always)
    private func batchBlocks(_ job: Int, _ algorithm: MACAlgorithm) -> Int {
        guard unsafe jobs[job].hasMessage, unsafe jobs[job].scheme.pointee.algorithm == algorithm else { return 0 }
        let bytes = unsafe jobs[job].message.count
        guard bytes > 0, bytes <= Int(SLUICE_BATCH_BYTES_MAX) else { return 0 }
        return bytes / 64 + 3
    }
}
