// One request as it stood on the wire, parsed and verified by the code of the ingest loop: for `sluice verify`, vectors
// and tests. Allocates; never part of a loop.
//
// Safety: the chunked decoder works in place on a copy made here.

package enum CaptureError: Error, Equatable, Sendable {
    /// The codec refused it.
    case refused(HTTPError)
    /// The bytes end before the message does.
    case incomplete
}

package enum VerificationResult: Sendable {
    /// `key` is the one that matched; nil for a token and for an unverified source.
    case accepted(key: SigningKey?)
    case rejected(SignatureRejection)
    /// What it takes to decide (a certificate that must be fetched) cannot be had now. Answered 503, so that the sender
    /// tries again; the loop's own schemes never say it.
    case undecided
}

package struct CapturedRequest: ~Copyable {
    let bytes: [UInt8]
    let head: RequestHead
    let fields: FieldTable
    /// Without its framing.
    package let body: [UInt8]

    /// Without `Content-Length` and chunks the rest of `raw` is the body: a capture may have lost its framing.
    package init(_ raw: [UInt8], limits: IngestLimits = IngestLimits()) throws(CaptureError) {
        var parser = HeadParser()
        var head = RequestHead()
        var fields = FieldTable()
        let result = raw.withView { parser.parse($0, into: &head, fields: &fields, limits: limits) }
        switch result {
        case .complete: break
        case .incomplete: throw .incomplete
        case .failed(let error): throw .refused(error)
        }
        var rest = Array(raw[head.byteCount...])
        if head.isChunked {
            rest = try CapturedRequest.dechunked(rest, limits: limits)
        } else {
            let declares = raw.withView { fields.firstIndex(of: HeaderName("content-length"), in: $0) >= 0 }
            if declares {
                guard rest.count >= head.contentLength else { throw .incomplete }
                rest.removeLast(rest.count - head.contentLength)
            }
        }
        bytes = raw
        body = rest
        self.head = head
        self.fields = fields
    }

    /// A request whose body was taken out of its framing before: what a loop hands to a worker.
    package init(
        head raw: [UInt8], body: [UInt8], limits: IngestLimits = .widest
    ) throws(CaptureError) {
        var parser = HeadParser()
        var head = RequestHead()
        var fields = FieldTable()
        switch raw.withView({ parser.parse($0, into: &head, fields: &fields, limits: limits) }) {
        case .complete: break
        case .incomplete: throw .incomplete
        case .failed(let error): throw .refused(error)
        }
        bytes = raw
        self.body = body
        self.head = head
        self.fields = fields
    }

    /// The same request with another body; nil when its head does not parse again.
    package func replacing(body: [UInt8]) -> CapturedRequest? {
        try? CapturedRequest(head: Array(bytes.prefix(head.byteCount)), body: body)
    }

    private static func dechunked(_ raw: [UInt8], limits: IngestLimits) throws(CaptureError) -> [UInt8] {
        var data = raw
        let result = unsafe data.withUnsafeMutableBufferPointer { buffer -> ChunkedResult in
            guard let memory = buffer.baseAddress else { return .incomplete(consumed: 0, written: 0) }
            var decoder = ChunkedDecoder()
            return unsafe decoder.decode(
                memory, from: 0, to: buffer.count, writeAt: 0, bodyBytesMax: limits.bodyBytesMax, limits: limits)
        }
        switch result {
        case .complete(_, let written): return Array(data[..<written])
        case .incomplete: throw .incomplete
        case .failed(let error): throw .refused(error)
        }
    }

    /// The caller keeps the scheme's `CompiledMemory`. `copies`: the same request so many times in one batch, so that
    /// the lanes of the multi-buffer engine are used; one verdict that differs from the others traps.
    package func verify(
        _ scheme: SignatureScheme, nowSeconds: UInt64, engine: VerifierEngine, copies: Int = 1, origin: String? = nil
    ) -> VerificationResult {
        let originBytes = Array((origin ?? "").utf8)
        return bytes.withView { view in
            body.withView { bodyView in
                originBytes.withView { originView in
                    verify(scheme, view, bodyView, originView, nowSeconds, engine, copies)
                }
            }
        }
    }
    private func verify(
        _ scheme: SignatureScheme, _ view: ByteView, _ bodyView: ByteView, _ origin: ByteView, _ nowSeconds: UInt64,
        _ engine: VerifierEngine, _ copies: Int
    ) -> VerificationResult {
        var verifier = BatchVerifier(
            engine: engine, jobCountMax: copies, scratchBytes: copies * (view.count + bodyView.count + 1024))
        var jobCount = 0
        copying: for _ in 0..<copies {
            let added = verifier.add(
                scheme: scheme, request: view, head: head, fields: fields, body: bodyView,
                origin: origin, nowSeconds: nowSeconds)
            switch added {
            case .queued: jobCount += 1
            case .accepted: return .accepted(key: nil)
            case .rejected(let reason): return .rejected(reason)
            // There is room for every copy, but not always for what each composes; the first always fits.
            case .full: break copying
            }
        }
        precondition(jobCount > 0)
        verifier.run()
        let reason = verifier.verdict(job: 0)
        for job in 1..<max(jobCount, 1) { precondition(verifier.verdict(job: job) == reason) }
        if let reason { return .rejected(reason) }
        return .accepted(key: verifier.matchedKey(job: 0))
    }

    /// What the selectors find, decoded.
    package func texts(_ selectors: EventSelectors) -> EventSelectors.Texts {
        bytes.withView { view in
            body.withView { selectors.texts(bytes: view, head: head, fields: fields, body: $0) }
        }
    }
    /// With another body than the one that came.
    package func texts(_ selectors: EventSelectors, body: [UInt8]) -> EventSelectors.Texts {
        bytes.withView { view in
            body.withView { selectors.texts(bytes: view, head: head, fields: fields, body: $0) }
        }
    }
    /// With a part of the body as the body.
    package func texts(_ selectors: EventSelectors, in part: Range<Int>) -> EventSelectors.Texts {
        bytes.withView { view in
            body.withView {
                selectors.texts(
                    bytes: view, head: head, fields: fields, body: $0.slice(part.lowerBound, part.count))
            }
        }
    }
    /// The same as text; nil where the request has nothing.
    package func select(
        _ selectors: EventSelectors
    ) -> (
        id: String?, type: String?, dedupKey: String?, keyIsBody: Bool
    ) {
        let texts = texts(selectors)
        func text(_ bytes: [UInt8]) -> String? { bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
        return (
            text(texts.eventID), text(texts.eventType), texts.keyIsBody ? nil : texts.key.flatMap(text),
            texts.keyIsBody
        )
    }
}
