// All signatures that one tick of a loop brought, verified as one batch. Owned by one loop: `add` for each request,
// `run` once,
// `verdict` for each, `removeAll`.
//
// Invariants: a job is accepted only by a claim that equals a digest computed here, for this job, in this batch;
// whatever is left over, skipped or failed is a mismatch. No allocation after `init`. Where memory for a contiguous
// message runs out the job is computed piece by piece; the answer is the same, only slower.
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
    private let claims: UnsafeMutablePointer<UInt8>
    private let tags: UnsafeMutablePointer<UInt8>
    /// Jobs that wait for a MAC in the current pass, by place.
    private let waiting: UnsafeMutablePointer<Int32>
    private let scratch: UnsafeMutablePointer<UInt8>
    private let scratchBytes: Int
    private var scratchUsed = 0
    /// Nil exactly when the engine is OpenSSL.
    private let batch: OpaquePointer?
    private let companyMin: (sha256: Int?, sha1: Int?, sha512: Int?)

    /// `scratchBytes`: for messages that must be copied to be contiguous (multi-buffer, and a scheme that signs more
    /// than the body). An engine that this processor does not have becomes OpenSSL; `engine` says which it is.
    package init(engine: VerifierEngine, jobCountMax: Int, scratchBytes: Int) {
        precondition(jobCountMax > 0 && jobCountMax <= 1 << 16 && scratchBytes >= 0)
        batch = engine == .multiBuffer ? sluice_batch_create(UInt32(jobCountMax)) : nil
        self.engine = batch == nil ? .openssl : .multiBuffer
        self.jobCountMax = jobCountMax
        self.scratchBytes = batch == nil ? 0 : scratchBytes
        companyMin = (
            VerifierEngine.companyMin(.sha256), VerifierEngine.companyMin(.sha1), VerifierEngine.companyMin(.sha512)
        )
        jobs = .allocate(capacity: jobCountMax)
        claims = .allocate(capacity: jobCountMax * SignatureClaims.bytesMax)
        tags = .allocate(capacity: jobCountMax * MACAlgorithm.digestBytesMax)
        tags.initialize(repeating: 0, count: jobCountMax * MACAlgorithm.digestBytesMax)
        waiting = .allocate(capacity: jobCountMax)
        scratch = .allocate(capacity: max(self.scratchBytes, 1))
    }
    deinit {
        sluice_batch_destroy(batch)
        sluice_memory_cleanse(tags, jobCountMax * MACAlgorithm.digestBytesMax)
        jobs.deallocate()
        claims.deallocate()
        tags.deallocate()
        waiting.deallocate()
        scratch.deallocate()
    }

    /// Bytes taken in `init`, without the multi-buffer library's own.
    package var memoryBytes: Int {
        jobCountMax * (MemoryLayout<VerifierJob>.stride + SignatureClaims.bytesMax + MACAlgorithm.digestBytesMax + 4)
            + scratchBytes
    }

    package mutating func removeAll() {
        jobCount = 0
        scratchUsed = 0
    }

    /// Reads what the request claims and queues the MAC, or decides at once. `bytes` are those that `head` and `fields`
    /// mean.
    @_noAllocation @_noLocks
    package mutating func add(
        scheme: SignatureScheme, request bytes: ByteView, head: RequestHead, fields: borrowing FieldTable,
        body: ByteView,
        nowSeconds: UInt64
    ) -> AddResult {
        let data = SchemeData.chosen(scheme, bytes: bytes, fields: fields)
        var parts = SignatureParts()
        if let reason = data.pointee.gather(bytes: bytes, fields: fields, into: &parts) { return .rejected(reason) }
        if data.pointee.isToken { return BatchVerifier.compareToken(data, parts.signature) }
        guard jobCount < jobCountMax else { return .full }
        var claimed = SignatureClaims(
            memory: claims + jobCount * SignatureClaims.bytesMax, digestBytes: data.pointee.algorithm.digestBytes)
        let reason = data.pointee.readClaims(&parts, into: &claimed)
        // A claim that can equal nothing is a mismatch, and a mismatch comes after the timestamp's reasons.
        if let reason, reason != .signatureMismatch { return .rejected(reason) }
        if data.pointee.timestampPlace != .none,
            let late = data.pointee.checkTimestamp(parts.timestamp, nowSeconds: nowSeconds)
        {
            return .rejected(late)
        }
        if let reason { return .rejected(reason) }
        let job = jobCount
        jobs[job] = VerifierJob(
            scheme: data, id: parts.id, timestamp: parts.timestamp, body: body, message: .empty, hasMessage: false,
            claimCount: UInt32(claimed.count), matchedKey: -1)
        if batch != nil { makeContiguous(job) }
        jobCount += 1
        return .queued(job: job)
    }

    /// Computes every job's MACs: all first keys as one batch, then the second keys of what did not match, and so on.
    @_noAllocation @_noLocks
    package mutating func run() {
        var keyIndex = 0
        while true {
            var count = 0
            for job in 0..<jobCount where jobs[job].matchedKey < 0 && jobs[job].scheme.pointee.keyCount > keyIndex {
                waiting[count] = Int32(truncatingIfNeeded: job)
                count += 1
            }
            guard count > 0 else { break }
            if let batch {
                runBatch(batch, count: count, keyIndex: keyIndex)
            } else {
                for place in 0..<count { computeOne(Int(waiting[place]), keyIndex: keyIndex) }
            }
            for place in 0..<count { compare(Int(waiting[place]), keyIndex: keyIndex) }
            keyIndex += 1
        }
    }

    /// After `run`: nil = accepted.
    package func verdict(job: Int) -> SignatureRejection? {
        precondition(job >= 0 && job < jobCount)
        return jobs[job].matchedKey >= 0 ? nil : .signatureMismatch
    }
    /// After `run`: the key whose digest equalled a claim (a handshake is answered with it); nil when none did.
    package func matchedKey(job: Int) -> SigningKey? {
        precondition(job >= 0 && job < jobCount)
        let place = Int(jobs[job].matchedKey)
        return place < 0 ? nil : jobs[job].scheme.pointee.keys[place]
    }
}

/// One message and what it must equal. Trivial.
struct VerifierJob {
    var scheme: UnsafePointer<SchemeData>
    var id: ByteView
    var timestamp: ByteView
    var body: ByteView
    /// All signed pieces in one place; meaningful exactly when `hasMessage`.
    var message: ByteView
    var hasMessage: Bool
    var claimCount: UInt32
    /// Place of the key whose digest equalled a claim, -1 while none did.
    var matchedKey: Int32

    @inline(__always) func view(of piece: SignedPiece) -> ByteView {
        switch piece.kind {
        case .literal: piece.literal
        case .id: id
        case .timestamp: timestamp
        case .body: body
        }
    }
}

extension BatchVerifier {
    @inline(__always)
    private static func compareToken(_ data: UnsafePointer<SchemeData>, _ value: ByteView) -> AddResult {
        guard let token = SchemeData.rest(of: value, behind: data.pointee.prefix) else {
            return .rejected(.malformedHeader)
        }
        var matches: Int32 = 0
        // Every token is compared, so that the time does not tell which one was near.
        for index in 0..<data.pointee.tokenCount {
            let known = data.pointee.tokens[index]
            if known.count == token.count { matches |= sluice_digest_equal(known.base, token.base, token.count) }
        }
        return matches != 0 ? .accepted : .rejected(.tokenMismatch)
    }

    /// Gives the job a contiguous message where the multi-buffer engine can use one.
    @inline(__always)
    private mutating func makeContiguous(_ job: Int) {
        let data = jobs[job].scheme
        if data.pointee.signsBodyAlone {
            jobs[job].message = jobs[job].body
            jobs[job].hasMessage = true
            return
        }
        var bytes = 0
        for index in 0..<data.pointee.pieceCount { bytes += jobs[job].view(of: data.pointee.pieces[index]).count }
        guard bytes <= Int(SLUICE_BATCH_BYTES_MAX), bytes <= scratchBytes - scratchUsed else { return }
        let start = scratch + scratchUsed
        var place = start
        for index in 0..<data.pointee.pieceCount {
            let piece = jobs[job].view(of: data.pointee.pieces[index])
            UnsafeMutableRawPointer(place).copyMemory(from: piece.base, byteCount: piece.count)
            place += piece.count
        }
        jobs[job].message = ByteView(start, count: bytes)
        jobs[job].hasMessage = true
        scratchUsed += bytes
    }

    /// One MAC by OpenSSL, of the pieces where they lie.
    @inline(__always)
    private func computeOne(_ job: Int, keyIndex: Int) {
        let data = jobs[job].scheme
        var stream = MACStream(data.pointee.keys[keyIndex])
        if jobs[job].hasMessage {
            stream.add(jobs[job].message)
        } else {
            for index in 0..<data.pointee.pieceCount { stream.add(jobs[job].view(of: data.pointee.pieces[index])) }
        }
        stream.finish(into: tags + job * MACAlgorithm.digestBytesMax)
    }

    /// Each claim against the digest, all of them, in constant time for each.
    @inline(__always)
    private func compare(_ job: Int, keyIndex: Int) {
        let digestBytes = jobs[job].scheme.pointee.algorithm.digestBytes
        let tag = tags + job * MACAlgorithm.digestBytesMax
        var claim = claims + job * SignatureClaims.bytesMax
        var matches: Int32 = 0
        for _ in 0..<jobs[job].claimCount {
            matches |= sluice_digest_equal(tag, claim, digestBytes)
            claim += digestBytes
        }
        if matches != 0 { jobs[job].matchedKey = Int32(truncatingIfNeeded: keyIndex) }
    }

    @inline(__always)
    private func runBatch(_ batch: OpaquePointer, count: Int, keyIndex: Int) {
        runBatch(batch, .sha256, companyMin.sha256, count: count, keyIndex: keyIndex)
        runBatch(batch, .sha1, companyMin.sha1, count: count, keyIndex: keyIndex)
        runBatch(batch, .sha512, companyMin.sha512, count: count, keyIndex: keyIndex)
    }
    /// A pass of the lanes takes as long as its longest message. So a message goes in only when its company brings
    /// enough blocks (`VerifierEngine.companyMin`); the others are computed one by one.
    private func runBatch(
        _ batch: OpaquePointer, _ algorithm: MACAlgorithm, _ companyMin: Int?, count: Int, keyIndex: Int
    ) {
        // Each pass may throw out long messages, after which others may be too long for the rest; what is left after
        // four passes goes in, at a cost and not at a risk.
        var blockCount = Int.max
        var blocksMax = companyMin == nil ? 0 : Int.max
        for _ in 0..<4 where blocksMax > 0 {
            var sum = 0
            for place in 0..<count {
                let blocks = batchBlocks(Int(waiting[place]), algorithm)
                if blocks > 0 && blocks <= blocksMax { sum += blocks }
            }
            if sum == blockCount { break }
            blockCount = sum
            blocksMax = sum / ((companyMin ?? 0) + 1)
        }
        var placed: UInt32 = 0
        for place in 0..<count {
            let job = Int(waiting[place])
            guard jobs[job].scheme.pointee.algorithm == algorithm else { continue }
            let blocks = batchBlocks(job, algorithm)
            guard blocks > 0 && blocks <= blocksMax else {
                computeOne(job, keyIndex: keyIndex)
                continue
            }
            sluice_batch_place(
                batch, placed, jobs[job].scheme.pointee.keys[keyIndex].midstates, jobs[job].message.base,
                jobs[job].message.count, tags + job * MACAlgorithm.digestBytesMax)
            placed += 1
        }
        guard placed > 0 else { return }
        sluice_batch_run(batch, algorithm.code, placed)
        // In the order in which they were placed: what the library did not complete is computed one by one.
        var index: UInt32 = 0
        for place in 0..<count {
            let job = Int(waiting[place])
            let blocks = batchBlocks(job, algorithm)
            guard blocks > 0 && blocks <= blocksMax else { continue }
            if sluice_batch_completed(batch, index) == 0 { computeOne(job, keyIndex: keyIndex) }
            index += 1
        }
    }
    /// How long a job keeps a lane, in blocks of 64 bytes; 0 when the batch cannot take it.
    @inline(__always)
    private func batchBlocks(_ job: Int, _ algorithm: MACAlgorithm) -> Int {
        guard jobs[job].hasMessage, jobs[job].scheme.pointee.algorithm == algorithm else { return 0 }
        let bytes = jobs[job].message.count
        guard bytes > 0, bytes <= Int(SLUICE_BATCH_BYTES_MAX) else { return 0 }
        return bytes / 64 + 3
    }
}
