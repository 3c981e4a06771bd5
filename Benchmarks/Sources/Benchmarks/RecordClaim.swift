// An event as the bytes of its record, checksum included, into memory that is there: the log without the journal.
import FastPath

enum RecordClaim {
    static let claim = Claim(name: "record encode") { effort in
        try [("1 KiB", 1024), ("16 KiB", 16_384)].map { size, bytes in
            let sample = SampleEvent(bodyBytes: bytes)
            guard let length = RecordFormat.byteCount(of: sample.event) else {
                throw BenchmarkError("the event has no record")
            }
            let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: RecordFormat.blockBytes)
            defer { memory.deallocate() }
            let print = Fingerprint(slot: Hash128(low: 1, high: 2), tag: Hash128(low: 3, high: 4))
            func run(_ count: Int) -> UInt64 {
                let event = sample.event
                var hash: UInt64 = 1
                for serial in 0..<count {
                    RecordFormat.encode(
                        event, print: print, sequence: UInt64(serial), groupOffset: 0, length: length, seed: 7,
                        to: memory)
                    hash.mix(memory.load(as: UInt64.self))
                }
                return hash
            }
            _ = run(1)
            let view = RecordView(ByteView(memory.assumingMemoryBound(to: UInt8.self), count: length))
            guard let view, view.verifies(seed: 7), view.body.count == bytes else {
                throw BenchmarkError("the record does not verify")
            }
            let timing = Stopwatch.best(effort, count: effort.count(20_000_000 / bytes), [run])[0]
            return Measurement(
                name: "record encode \(size)", value: timing.nanos, unit: "ns",
                claim: "\(length) B with fields and checksum", hash: timing.hash)
        }
    }
}

/// What a GitHub webhook is in the log.
final class SampleEvent {
    let key = ByteMemory("72d3162e-cc78-11e3-81ab-4c9367dc0958")
    private let texts = ["github", "pull_request", "POST", "/in/github"].map { ByteMemory($0) }
    private let fieldLines = ByteMemory(
        "Content-Type: application/json\r\nX-GitHub-Event: pull_request\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n")
    private let body: ByteMemory
    private let window: UInt32

    init(bodyBytes: Int, window: UInt32 = 0) {
        var numbers = SeededNumbers(state: 5)
        body = ByteMemory((0..<bodyBytes).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })
        self.window = window
    }
    var event: EventInput {
        var event = EventInput()
        event.source = texts[0].view
        event.dedupKey = key.view
        event.dedupWindowSeconds = window
        event.eventType = texts[1].view
        event.method = texts[2].view
        event.target = texts[3].view
        event.fieldLines = fieldLines.view
        event.body = body.view
        event.receivedAt = 1_700_000_000_000_000_000
        return event
    }
    /// A key of its own, in hexadecimal digits.
    func setKey(_ serial: UInt64) {
        for digit in 0..<16 {
            key.start[digit] = UInt8(truncatingIfNeeded: 0x61 + (serial >> UInt64(4 * digit)) & 15)
        }
    }
}
