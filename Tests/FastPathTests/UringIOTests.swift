// The ring driver against the real kernel: the log's ring beside the sockets', and which receive buffers are used.
import FastPath
import Glibc
import TestSupport
import Testing

@Suite struct UringIOTests {
    /// Both ends of a local stream.
    struct Pair {
        let ours: Int32
        let theirs: Int32
        init() {
            var ends: [Int32] = [-1, -1]
            precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
            (ours, theirs) = (ends[0], ends[1])
        }
        func say(_ text: String) { precondition(write(theirs, text, text.utf8.count) == text.utf8.count) }
        func close() {
            Glibc.close(ours)
            Glibc.close(theirs)
        }
    }
    static func makeIO() throws -> UringIO {
        try UringIO(submissions: 256, completions: 1024, bufferCount: 256, bufferByteCount: 512, hasLogRing: true)
    }
    /// A file that is deleted already; not in memory, where `TemporaryFolder` is: a write is to take its time.
    static func makeFile() -> Int32 {
        var path = Array("/tmp/sluice-uring-XXXXXX".utf8CString)
        let file = mkstemp(&path)
        precondition(file >= 0)
        unlink(path)
        return file
    }

    @Test func aLoopThatSleepsIsWokenByTheLog() throws {
        var io = try Self.makeIO()
        let file = Self.makeFile()
        defer { close(file) }
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
        bytes.initialize(repeating: 7, count: 4096)
        defer { bytes.deallocate() }
        for round in 0..<20 {
            let offset = UInt64(round) * 4096
            let isPair = round % 2 == 1
            if isPair {
                io.writeAndSync(
                    file, bytes, count: 4096, offset: offset, write: Tag(.journalWrite), sync: Tag(.journalSync))
            } else {
                io.writeDurably(file, bytes, count: 4096, offset: offset, tag: Tag(.journalWrite))
            }
            var results: [TagKind: Int32] = [:]
            // A wake-up that was lost would be a minute.
            for _ in 0..<20 where results.count < (isPair ? 2 : 1) {
                for index in 0..<io.enter(waitNanos: 60_000_000_000) {
                    let completion = io.completion(index)
                    if completion.tag.kind != .ignored { results[completion.tag.kind] = completion.result }
                }
            }
            #expect(results == (isPair ? [.journalWrite: 4096, .journalSync: 0] : [.journalWrite: 4096]))
        }
    }
    @Test func whatTheLogHasComesBeforeWhatTheSocketsHave() throws {
        var io = try Self.makeIO()
        let file = Self.makeFile()
        let pairs = (0..<100).map { _ in Pair() }
        let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
        bytes.initialize(repeating: 7, count: 4096)
        defer {
            bytes.deallocate()
            close(file)
            for pair in pairs { pair.close() }
        }
        for (slot, pair) in pairs.enumerated() { io.receive(pair.ours, tag: Tag(.receive, slot: UInt32(slot))) }
        io.writeDurably(file, bytes, count: 4096, offset: 0, tag: Tag(.journalWrite))
        var kinds: [TagKind] = []
        for round in 0..<200 where kinds.count < pairs.count + 1 {
            // At first nothing is there but the write, which is handed over; then time for the disk, and both have
            // something.
            for index in 0..<io.enter(waitNanos: round == 0 ? 0 : 1_000_000_000)
            where io.completion(index).tag.kind != .ignored { kinds.append(io.completion(index).tag.kind) }
            guard round == 0 else { continue }
            for pair in pairs { pair.say("hello") }
            usleep(100_000)
        }
        let place = try #require(kinds.firstIndex(of: .journalWrite))
        #expect(kinds.count == pairs.count + 1 && place < pairs.count / 2, "behind \(place) of \(pairs.count)")
    }
    @Test func fewBuffersAreUsedAndEachHasWhatCame() throws {
        var io = try Self.makeIO()
        let pair = Pair()
        defer { pair.close() }
        io.receive(pair.ours, tag: Tag(.receive))
        var used: Set<Int> = []
        for round in 0..<1000 {
            pair.say("message \(round)")
            var text = ""
            while text.utf8.count < "message \(round)".utf8.count {
                for index in 0..<io.enter(waitNanos: 1_000_000_000) {
                    let completion = io.completion(index)
                    let buffer = completion.buffer
                    try #require(completion.result > 0 && buffer >= 0 && completion.hasMore)
                    used.insert(buffer)
                    let bytes = UnsafeBufferPointer(start: io.bytes(ofBuffer: buffer), count: Int(completion.result))
                    text += String(decoding: bytes, as: UTF8.self)
                    io.give(buffer: buffer)
                }
            }
            #expect(text == "message \(round)")
            io.publishBuffers()
        }
        #expect(used.count <= BufferCirculation.countMin)
    }
    @Test func aBurstThatFindsNoBufferGetsItsBytesAfterAll() throws {
        var io = try Self.makeIO()
        let pairs = (0..<200).map { _ in Pair() }
        defer { for pair in pairs { pair.close() } }
        for (slot, pair) in pairs.enumerated() { io.receive(pair.ours, tag: Tag(.receive, slot: UInt32(slot))) }
        #expect(io.enter(waitNanos: 0) == 0)
        for pair in pairs { pair.say("hello") }
        var received: Set<UInt32> = []
        var turnedAway = 0
        for _ in 0..<200 where received.count < pairs.count {
            for index in 0..<io.enter(waitNanos: 1_000_000_000) {
                let completion = io.completion(index)
                if completion.buffer >= 0 {
                    received.insert(completion.tag.slot)
                    io.give(buffer: completion.buffer)
                } else {
                    #expect(completion.result == -ENOBUFS && !completion.hasMore && io.hasRestingBuffers)
                    turnedAway += 1
                    io.receive(pairs[Int(completion.tag.slot)].ours, tag: completion.tag)
                }
            }
            io.publishBuffers()
        }
        #expect(received.count == pairs.count)
        #expect(turnedAway <= pairs.count)
    }
}
