// What a worker makes of a publication: the answer to a call that is refused, or the event with what is answered when
// the log has it. It crosses to the loop as a reading does (`EventReading.swift`) and goes home the same way.
//
// Invariants: the worker writes all of an answer but its head and the event's id, for which both have room; the loop
// writes into an answer only while it owns the memory. Safety: places are reckoned once, where the memory is taken,
// and each write is bounded by the counts that were kept there.

/// How an event is called in an answer.
package enum PublicationIDForm: UInt8, Sendable, BitwiseCopyable {
    case none
    /// `evt_…`
    case event
    /// `msg_…`
    case message

    package var byteCount: Int {
        switch self {
        case .none: 0
        case .event: EventID.byteCount
        case .message: EventID.messageByteCount
        }
    }
}

package struct PublicationAnswer: Equatable, Sendable {
    /// Of `lines`; with a head they have room in a connection's buffer.
    package static let lineBytesMax = 512
    package var status: Int
    package var contentType = "application/json"
    /// Whole header lines, each with its CRLF.
    package var lines = ""
    package var body: [UInt8]
    /// Which id is written over `body` at `idPlace`.
    package var idForm = PublicationIDForm.none
    package var idPlace = 0

    package init(status: Int, body: [UInt8]) {
        self.status = status
        self.body = body
    }
}

package enum Publication: Sendable {
    /// Nothing is offered to the log.
    case answered(PublicationAnswer)
    /// `duplicate` nil: what is said of one takes a look into the log, so a worker is asked again.
    /// `pass`: the caller may go on without being asked.
    case offered(
        InjectedEvent, accepted: PublicationAnswer, duplicate: PublicationAnswer?, pass: PublisherPass? = nil)
}

/// Where an answer lies in the memory of a publication.
struct PublicationAnswerLayout: BitwiseCopyable {
    var status: UInt16
    var idForm: PublicationIDForm
    var contentTypeCount: UInt16
    var lineCount: UInt16
    var bodyCount: UInt32
    var idPlace: UInt32
    /// Of the content type, with the lines behind it; then comes room for a head, then the body.
    var start: UInt32

    init(_ answer: PublicationAnswer, start: Int) {
        precondition(Reply.isKnown(status: answer.status), "a status without a phrase")
        precondition(answer.contentType.utf8.count <= Reply.textBytesMax)
        precondition(answer.lines.utf8.count <= PublicationAnswer.lineBytesMax)
        precondition(answer.idPlace >= 0 && answer.idPlace + answer.idForm.byteCount <= answer.body.count)
        status = UInt16(answer.status)
        idForm = answer.idForm
        contentTypeCount = UInt16(answer.contentType.utf8.count)
        lineCount = UInt16(answer.lines.utf8.count)
        bodyCount = UInt32(answer.body.count)
        idPlace = UInt32(answer.idPlace)
        self.start = UInt32(start)
    }
    var bodyStart: Int { Int(start) + Int(contentTypeCount) + Int(lineCount) + headRoom }
    var headRoom: Int { Reply.headBytesMax + Int(lineCount) }
    var end: Int { bodyStart + Int(bodyCount) }
}

/// The event and its answers. Texts lie behind it in the order of their counts.
struct PublicationLayout: BitwiseCopyable {
    var hasEvent = false
    /// A duplicate is answered by `duplicate`; else a worker is asked.
    var hasDuplicate = false
    var tenant: UInt32 = 0
    var source: UInt32 = 0
    var key: UInt32 = 0
    var type: UInt32 = 0
    var target: UInt32 = 0
    var fieldLines: UInt32 = 0
    var body: UInt32 = 0
    var sourceNumber: UInt32 = 0
    var windowSeconds: UInt32 = 0
    var receivedAt: UInt64 = 0
    /// The only one where there is no event.
    var accepted: PublicationAnswerLayout
    var duplicate: PublicationAnswerLayout
    var pass = PublisherPassLayout()

    /// Of an event, but for its answers and its pass.
    init(_ event: InjectedEvent, accepted: PublicationAnswerLayout, duplicate: PublicationAnswerLayout?) {
        precondition(!event.keyIsBody && event.elements.count == 0, "no publication is one of these")
        self.accepted = accepted
        self.duplicate = duplicate ?? accepted
        hasEvent = true
        hasDuplicate = duplicate != nil
        tenant = UInt32(event.tenant.count)
        source = UInt32(event.source.utf8.count)
        key = UInt32(event.dedupKey.count)
        type = UInt32(event.eventType.count)
        target = UInt32(event.target.count)
        fieldLines = UInt32(event.fieldLines.count)
        body = UInt32(event.body.count)
        sourceNumber = event.sourceNumber
        windowSeconds = event.dedupWindowSeconds
        receivedAt = event.receivedAt
    }
    /// Of an answer alone.
    init(_ answer: PublicationAnswerLayout) {
        accepted = answer
        duplicate = answer
    }
    /// Where the answers begin; `event` nil: where there is an answer alone.
    static func answerStart(_ event: InjectedEvent?) -> Int {
        let start = MemoryLayout<PublicationLayout>.stride
        guard let event else { return start }
        return start + event.tenant.count + event.source.utf8.count + event.dedupKey.count + event.eventType.count
            + event.target.count + event.fieldLines.count + event.body.count
    }
}

/// A publication on its way to the loop: where everything of it will lie is reckoned once.
struct PlannedPublication {
    fileprivate let publication: Publication
    fileprivate let layout: PublicationLayout
    /// What `PassedPublication.write` takes.
    let byteCount: Int

    init(_ publication: Publication) {
        self.publication = publication
        switch publication {
        case .answered(let answer):
            let place = PublicationAnswerLayout(answer, start: PublicationLayout.answerStart(nil))
            layout = PublicationLayout(place)
            byteCount = place.end
        case .offered(let event, let accepted, let duplicate, let pass):
            let first = PublicationAnswerLayout(accepted, start: PublicationLayout.answerStart(event))
            let second = duplicate.map { PublicationAnswerLayout($0, start: first.end) }
            var layout = PublicationLayout(event, accepted: first, duplicate: second)
            let end = second?.end ?? first.end
            if let pass, pass.isKept { layout.pass = PublisherPassLayout(pass, start: end) }
            byteCount = end + layout.pass.byteCount
            self.layout = layout
        }
    }
}

@safe struct PassedPublication: BitwiseCopyable {
    private let memory: UnsafeMutableRawPointer

    /// The memory of `write`.
    init(_ memory: UnsafeMutableRawPointer) { unsafe self.memory = memory }
    var layout: PublicationLayout { unsafe memory.load(as: PublicationLayout.self) }

    // MARK: the worker

    /// Safety: `memory` has room for `byteCount` of the plan.
    static func write(_ plan: PlannedPublication, to memory: UnsafeMutableRawPointer) {
        let layout = plan.layout
        unsafe memory.storeBytes(of: layout, as: PublicationLayout.self)
        switch plan.publication {
        case .answered(let answer): unsafe put(answer, layout.accepted, memory)
        case .offered(let event, let accepted, let duplicate, let pass):
            var place = MemoryLayout<PublicationLayout>.stride
            unsafe put(event.tenant, memory, &place)
            unsafe put(event.source, memory, &place)
            unsafe put(event.dedupKey, memory, &place)
            unsafe put(event.eventType, memory, &place)
            unsafe put(event.target, memory, &place)
            unsafe put(event.fieldLines, memory, &place)
            unsafe put(event.body, memory, &place)
            unsafe put(accepted, layout.accepted, memory)
            if let duplicate { unsafe put(duplicate, layout.duplicate, memory) }
            guard let pass, layout.pass.bearer > 0 else { return }
            place = Int(layout.pass.start)
            unsafe put(pass.bearer, memory, &place)
            unsafe put(pass.tenant, memory, &place)
        }
    }
    private static func put(
        _ answer: PublicationAnswer, _ layout: PublicationAnswerLayout, _ memory: UnsafeMutableRawPointer
    ) {
        var place = Int(layout.start)
        unsafe put(answer.contentType, memory, &place)
        unsafe put(answer.lines, memory, &place)
        place = layout.bodyStart
        unsafe put(answer.body, memory, &place)
    }
    private static func put(_ bytes: [UInt8], _ memory: UnsafeMutableRawPointer, _ place: inout Int) {
        unsafe bytes.withUnsafeBytes { from in
            guard let base = from.baseAddress else { return }
            unsafe (memory + place).copyMemory(from: base, byteCount: from.count)
        }
        place += bytes.count
    }

    private static func put(_ text: String, _ memory: UnsafeMutableRawPointer, _ place: inout Int) {
        var text = text
        let count = text.withUTF8 { from in
            if let base = from.baseAddress { unsafe (memory + place).copyMemory(from: base, byteCount: from.count) }
            return from.count
        }
        place += count
    }

    // MARK: the loop

    @inline(__always) private func view(_ start: Int, _ count: Int) -> ByteView {
        unsafe ByteView(UnsafePointer((memory + start).assumingMemoryBound(to: UInt8.self)), count: count)
    }
    /// As the log takes it; `receivedAt` is 0 where that is when it is offered.
    var event: EventInput {
        let layout = layout
        precondition(layout.hasEvent)
        var place = MemoryLayout<PublicationLayout>.stride
        func next(_ count: UInt32) -> ByteView {
            defer { place += Int(count) }
            return view(place, Int(count))
        }
        var event = EventInput()
        event.tenant = next(layout.tenant)
        event.source = next(layout.source)
        event.dedupKey = next(layout.key)
        event.eventType = next(layout.type)
        event.target = next(layout.target)
        event.fieldLines = next(layout.fieldLines)
        event.body = next(layout.body)
        event.method = ByteView("POST")
        event.sourceNumber = layout.sourceNumber
        event.dedupWindowSeconds = layout.windowSeconds
        event.receivedAt = layout.receivedAt
        return event
    }
    func keepPass(in passes: inout PassTable, nowMillis: UInt64, wallMillis: UInt64) {
        let pass = layout.pass
        // One that is over already would lie there for nothing.
        guard pass.bearer > 0, wallMillis < pass.endsMillis else { return }
        let start = Int(pass.start)
        passes.keep(
            pass, bearer: view(start, Int(pass.bearer)), tenant: view(start + Int(pass.bearer), Int(pass.tenant)),
            untilMillis: nowMillis + UInt64(pass.lifeMillis))
    }
    func contentType(_ answer: PublicationAnswerLayout) -> ByteView {
        view(Int(answer.start), Int(answer.contentTypeCount))
    }
    func lines(_ answer: PublicationAnswerLayout) -> ByteView {
        view(Int(answer.start) + Int(answer.contentTypeCount), Int(answer.lineCount))
    }
    func body(_ answer: PublicationAnswerLayout) -> ByteView { view(answer.bodyStart, Int(answer.bodyCount)) }
    /// Writes the id where the answer has its place.
    func name(_ id: EventID, in answer: PublicationAnswerLayout) {
        let place = unsafe (memory + answer.bodyStart + Int(answer.idPlace)).assumingMemoryBound(to: UInt8.self)
        switch answer.idForm {
        case .none: break
        case .event: unsafe id.write(to: place)
        case .message: unsafe id.writeMessage(to: place)
        }
    }
    /// The answer in one piece: `head` right before the body. Where it begins.
    func putHead(_ head: ByteView, before answer: PublicationAnswerLayout) -> UnsafePointer<UInt8> {
        precondition(head.count <= answer.headRoom)
        let start = unsafe memory + answer.bodyStart - head.count
        unsafe start.copyMemory(from: head.base, byteCount: head.count)
        return unsafe UnsafePointer(start.assumingMemoryBound(to: UInt8.self))
    }
}
