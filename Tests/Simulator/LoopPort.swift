// The world as one loop meets it: its connections, its way to the disk, its completions. `PortIO` is the loop's side.
//
// Model: what is submitted is carried out a little later, on the disk in the order of submission; completions are
// gathered by `enter`. Receive buffers that were given back are overwritten at once. A cancel ends what it names. When
// the process dies, what was submitted and not carried out never happens, but for a write that was with the disk.
//
// Safety: nothing of the loop's memory is touched after `end`.

import FastPath

package final class LoopPort {
    /// What the network and the disk do to this loop; per mille, nanoseconds.
    package struct Weather {
        package var latencyMax: UInt64 = 2_000_000
        package var diskMax: UInt64 = 2_000_000
        package var sendIsCut = 100
        package init() {}
    }
    let clock: Clockwork
    let files: SimulatedFiles
    package var weather = Weather()
    package private(set) var isAlive = true
    package let bufferCount: Int
    private let bufferBytes: Int
    let memory: UnsafeMutablePointer<UInt8>
    private var freeBuffers: [Int]
    private var givenBuffers: [Int] = []
    private var completions: [Completion] = []
    private(set) var reaped: [Completion] = []
    private(set) var connections: [Int32: Connection] = [:]
    private var nextDescriptor: Int32 = 10_000
    var acceptTag: Tag?
    var wakeTag: Tag?
    private var diskFreeAt: UInt64 = 0
    private var isLinkBroken = false
    private var inFlight: (file: Int32, bytes: UnsafeRawPointer, count: Int, offset: Int)?
    /// Of the last `enter`.
    package private(set) var lastWait: UInt64 = 0
    package private(set) var lastCount = 0
    /// The loop wants to connect to this port.
    package var onConnect: ((Connection, Int, Tag) -> Void)?

    package init(_ clock: Clockwork, _ files: SimulatedFiles, bufferCount: Int, bufferBytes: Int) {
        self.clock = clock
        self.files = files
        self.bufferCount = bufferCount
        self.bufferBytes = bufferBytes
        memory = .allocate(capacity: bufferCount * bufferBytes)
        memory.initialize(repeating: 0, count: bufferCount * bufferBytes)
        freeBuffers = Array(0..<bufferCount)
    }
    deinit { memory.deallocate() }

    package var freeBufferCount: Int { freeBuffers.count }
    package var openCount: Int { connections.count }
    package var hasCompletions: Bool { !completions.isEmpty }

    /// The process dies.
    package func end() {
        isAlive = false
        if let write = inFlight, clock.chance.permille(500) {
            files.mayHaveWritten(write.file, write.bytes, write.count, write.offset)
        }
        for descriptor in connections.keys.sorted() {
            guard let connection = connections[descriptor] else { continue }
            connection.isReset = true
            connection.waiting = nil
            connection.onEnd?()
        }
        connections = [:]
    }

    // MARK: completions

    func later(_ nanosMax: UInt64, _ run: @escaping () -> Void) {
        clock.after(clock.chance.between(0, nanosMax)) { [weak self] in
            guard let self, isAlive else { return }
            run()
        }
    }
    func complete(_ tag: Tag, _ result: Int32, hasMore: Bool = false, buffer: Int? = nil) {
        clock.note("completion", Int(tag.kind.rawValue), Int(result))
        completions.append(Completion(tag: tag, result: result, hasMore: hasMore, buffer: buffer))
    }
    func enter(_ waitNanos: UInt64) -> Int {
        reaped = completions
        completions = []
        lastWait = waitNanos
        lastCount = reaped.count
        return reaped.count
    }
    func bytes(of buffer: Int) -> UnsafeMutablePointer<UInt8> { memory + buffer * bufferBytes }
    func give(_ buffer: Int) {
        if freeBuffers.contains(buffer) || givenBuffers.contains(buffer) {
            return clock.find("a receive buffer was given back twice")
        }
        givenBuffers.append(buffer)
    }
    func publishBuffers() {
        for buffer in givenBuffers { bytes(of: buffer).update(repeating: 0xDD, count: bufferBytes) }
        freeBuffers += givenBuffers
        givenBuffers = []
    }
    package func wake() {
        guard let tag = wakeTag else { return }
        wakeTag = nil
        complete(tag, 8)
    }

    // MARK: connections

    func open() -> Connection {
        let connection = Connection(nextDescriptor, self)
        connections[nextDescriptor] = connection
        nextDescriptor += 1
        return connection
    }
    /// A client comes; nil while the loop accepts nobody.
    package func accept() -> Connection? {
        guard isAlive, let tag = acceptTag else { return nil }
        let connection = open()
        complete(tag, connection.descriptor, hasMore: true)
        return connection
    }
    func carry(_ connection: Connection, _ bytes: [UInt8], _ pieceBytesMax: Int) {
        var rest = bytes[...]
        var time = max(clock.now, connection.arrivesAt)
        while !rest.isEmpty {
            let piece = Array(rest.prefix(1 + clock.chance.below(pieceBytesMax)))
            rest = rest.dropFirst(piece.count)
            time += clock.chance.between(0, weather.latencyMax)
            arrive(connection, time) { $0.arrived += piece }
        }
        connection.arrivesAt = time
    }
    func carryEnd(_ connection: Connection) {
        arrive(connection, max(clock.now, connection.arrivesAt)) { $0.hasEnded = true }
    }
    private func arrive(_ connection: Connection, _ time: UInt64, _ change: @escaping (Connection) -> Void) {
        clock.at(time) { [weak self] in
            guard let self, isAlive, connection.isOpen else { return }
            change(connection)
            pump(connection)
        }
    }
    func reset(_ connection: Connection) {
        guard isAlive, connection.isOpen else { return }
        connection.isReset = true
        clock.note("reset", Int(connection.descriptor))
        if let tag = connection.waitingTag {
            connection.waitingTag = nil
            connection.waiting = nil
            complete(tag, -104)
        }
        pump(connection)
        connection.onEnd?()
    }
    func goOn(_ connection: Connection) {
        guard isAlive, let waiting = connection.waiting else { return }
        connection.waiting = nil
        connection.waitingTag = nil
        waiting()
    }
    func pump(_ connection: Connection) {
        if let tag = connection.poll, connection.isReset || connection.hasEnded || !connection.arrived.isEmpty {
            connection.poll = nil
            complete(tag, 1)
        }
        while let tag = connection.receive {
            if connection.isReset { return endReceive(connection, tag, -104) }
            if connection.arrived.isEmpty {
                guard connection.hasEnded, !connection.isEndTold else { return }
                connection.isEndTold = true
                return endReceive(connection, tag, 0)
            }
            guard let buffer = freeBuffers.popLast() else { return endReceive(connection, tag, -105) }
            let count = min(bufferBytes, connection.arrived.count)
            for index in 0..<count { bytes(of: buffer)[index] = connection.arrived[index] }
            connection.arrived.removeFirst(count)
            complete(tag, Int32(count), hasMore: true, buffer: buffer)
        }
    }
    private func endReceive(_ connection: Connection, _ tag: Tag, _ result: Int32) {
        connection.receive = nil
        complete(tag, result)
    }
    func send(_ connection: Connection, _ tag: Tag, _ bytes: @escaping () -> [UInt8]) {
        if connection.isReset { return complete(tag, -104) }
        if connection.isStalled {
            connection.waitingTag = tag
            connection.waiting = { [unowned self] in send(connection, tag, bytes) }
            return
        }
        let all = bytes()
        let isCut = all.count > 1 && clock.chance.permille(weather.sendIsCut)
        let count = isCut ? 1 + clock.chance.below(all.count - 1) : all.count
        connection.sent += all.prefix(count)
        complete(tag, Int32(count))
        connection.onSent?()
    }
    func cancel(_ connection: Connection) {
        if let tag = connection.receive { endReceive(connection, tag, -125) }
        for path in [\Connection.poll, \Connection.connect, \Connection.waitingTag] {
            guard let tag = connection[keyPath: path] else { continue }
            connection[keyPath: path] = nil
            complete(tag, -125)
        }
        connection.waiting = nil
    }
    func cancel(_ target: Tag) {
        for path in [\LoopPort.acceptTag, \LoopPort.wakeTag] where self[keyPath: path] == target {
            self[keyPath: path] = nil
            complete(target, -125)
        }
        for descriptor in connections.keys.sorted() {
            guard let connection = connections[descriptor], connection.receive == target else { continue }
            endReceive(connection, target, -125)
        }
    }
    func close(_ descriptor: Int32) {
        guard let connection = connections.removeValue(forKey: descriptor) else {
            _ = files.close(descriptor)
            return
        }
        connection.isClosed = true
        connection.onEnd?()
    }

    // MARK: the disk

    /// In its turn.
    private func onDisk(_ run: @escaping () -> Void) {
        diskFreeAt = max(diskFreeAt, clock.now) + clock.chance.between(1000, weather.diskMax)
        clock.at(diskFreeAt) { [weak self] in
            guard let self, isAlive else { return }
            run()
        }
    }
    func write(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int, _ tag: Tag, sync: Tag?) {
        onDisk { [unowned self] in inFlight = (file, bytes, count, offset) }
        onDisk { [unowned self] in
            inFlight = nil
            if isLinkBroken {
                isLinkBroken = false
                complete(tag, -125)
                if let sync { complete(sync, -125) }
                return
            }
            let written = files.write(file, bytes, count, offset)
            guard !files.isDead else { return }
            guard let sync else { return finishWrite(file, written, count, tag) }
            complete(tag, Int32(written))
            onDisk { [unowned self] in
                let result = written == count ? files.sync(file) : -125
                if !files.isDead { complete(sync, result) }
            }
        }
    }
    /// Written, and durable when it completes.
    private func finishWrite(_ file: Int32, _ written: Int, _ count: Int, _ tag: Tag) {
        guard written > 0 else { return complete(tag, Int32(written)) }
        onDisk { [unowned self] in
            let result = files.sync(file)
            guard !files.isDead else { return }
            complete(tag, result < 0 ? result : Int32(written))
        }
    }
    func rename(_ folder: Int32, _ from: String, _ to: String, _ tag: Tag, sync: Tag) {
        onDisk { [unowned self] in
            let renamed = files.rename(folder, from, to)
            guard !files.isDead else { return }
            complete(tag, renamed)
            isLinkBroken = renamed < 0
            if renamed < 0 { return complete(sync, -125) }
            let synced = files.sync(folder)
            guard !files.isDead else { return }
            isLinkBroken = synced < 0
            complete(sync, synced)
        }
    }
}
