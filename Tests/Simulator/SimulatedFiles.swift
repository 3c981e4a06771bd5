// The disk of a simulated gateway: files and folders in memory that answer as the kernel does, fail as disks do, and
// can lose power.
//
// Fault model. A file is sectors of 512 bytes. A write reaches the page cache, whole or in its first sectors. A sync
// that returns 0 makes the file's bytes durable, not its name: names are durable when their folder was synced. A power
// cut keeps of each sector that was written and not synced the old or the new content, each for itself, and of the
// changes of names the first so many. A sync that fails leaves some sectors on disk and forgets that the others were
// dirty, as Linux does: the next one returns 0 and writes nothing of them. A process that dies without a cut leaves the
// cache. Left out: sectors torn inside, disks that lie about a flush, errors of reading, damage at rest.

import CShims
import FastPath

package final class SimulatedFiles {
    package static let sectorBytes = 512

    /// What the weather of the moment does to the disk; per mille of the calls.
    package struct Weather {
        package var syncFails = 0
        package var writeFails = 0
        package var writeIsShort = 0
        package var namesFail = 0
        package var isFull = false
        package init() {}
    }
    final class Node {
        let number: UInt64
        let isFolder: Bool
        var cached: [UInt8] = []
        var durable: [UInt8] = []
        var dirty: [Bool] = []
        var hasFailed = false
        var names: [String: Node] = [:]
        var durableNames: [String: Node] = [:]
        var changes: [NameChange] = []

        init(_ number: UInt64, isFolder: Bool) {
            self.number = number
            self.isFolder = isFolder
        }
    }
    enum NameChange {
        case link(String, Node)
        case unlink(String)
        case rename(String, String)
    }

    package var weather = Weather()
    package var chance: Chance
    /// Calls that still work; then the machine is gone until `restart`.
    package var callsLeft: Int?
    package private(set) var isDead = false
    package private(set) var callCount = 0
    /// A rule of the seam that was broken.
    package private(set) var finding: String?
    package var onCall: ((StaticString, Int, Int) -> Void)?
    private var descriptors: [Int32: Node] = [:]
    private var nextDescriptor: Int32 = 100_000
    private var nextNode: UInt64 = 3
    let root = Node(1, isFolder: true)

    package init(seed: UInt64) { chance = Chance(seed) }

    // MARK: the machine

    /// After the process has ended. `isCut`: the machine lost its power too.
    package func restart(isCut: Bool) {
        descriptors = [:]
        callsLeft = nil
        isDead = false
        var folders = [root]
        while let folder = folders.popLast() {
            if isCut { cutNames(folder) }
            for name in folder.names.keys.sorted() {
                guard let node = folder.names[name] else { continue }
                if node.isFolder { folders.append(node) } else { settle(node, isCut: isCut) }
            }
        }
    }
    private func cutNames(_ folder: Node) {
        for change in folder.changes.prefix(chance.below(folder.changes.count + 1)) {
            SimulatedFiles.apply(change, to: &folder.durableNames)
        }
        folder.changes = []
        folder.names = folder.durableNames
    }
    private func settle(_ node: Node, isCut: Bool) {
        node.hasFailed = false
        guard isCut else { return }
        keepSome(node)
        node.cached = node.durable
    }
    private func keepSome(_ node: Node) {
        for sector in node.dirty.indices where node.dirty[sector] {
            if chance.permille(500) { copy(node, sector) }
            node.dirty[sector] = false
        }
    }
    private func copy(_ node: Node, _ sector: Int) {
        let start = sector * SimulatedFiles.sectorBytes
        let end = min(start + SimulatedFiles.sectorBytes, node.cached.count)
        guard start < end else { return }
        if node.durable.count < end {
            node.durable.append(contentsOf: repeatElement(0, count: end - node.durable.count))
        }
        node.durable.replaceSubrange(start..<end, with: node.cached[start..<end])
    }
    private static func apply(_ change: NameChange, to names: inout [String: Node]) {
        switch change {
        case .link(let name, let node): names[name] = node
        case .unlink(let name): names[name] = nil
        case .rename(let from, let to): names[to] = names.removeValue(forKey: from)
        }
    }
    /// False when the machine is gone: the call has no effect then.
    private func begin(_ what: StaticString, _ first: Int = 0, _ second: Int = 0) -> Bool {
        guard !isDead else { return false }
        callCount += 1
        if let left = callsLeft {
            callsLeft = left - 1
            if left <= 0 { isDead = true }
        }
        onCall?(what, first, second)
        return !isDead
    }

    // MARK: calls

    func open(_ directory: Int32, _ name: String, _ flags: Int32) -> Int32 {
        guard !isDead else { return -5 }
        guard var folder = directory < 0 ? root : descriptors[directory] else { return -9 }
        var node: Node? = folder
        if directory >= 0, name != ".", name != ".." {
            node = folder.names[name]
        } else if directory < 0 {
            // Absolute: the data folder, or `log` in it.
            node = name.hasSuffix("/log") ? root.names["log"] : root
        }
        if node == nil, flags & (FileFlags.create | FileFlags.ensure) != 0 {
            guard begin("create", Int(nextNode)) else { return -5 }
            if weather.isFull { return -28 }
            if chance.permille(weather.namesFail) { return -5 }
            let fresh = Node(nextNode, isFolder: false)
            nextNode += 1
            change(&folder, .link(name, fresh))
            node = fresh
        } else if node != nil, flags & FileFlags.create != 0 {
            return -17
        }
        guard let node else { return -2 }
        let descriptor = nextDescriptor
        nextDescriptor += 1
        descriptors[descriptor] = node
        return descriptor
    }
    private func change(_ folder: inout Node, _ change: NameChange) {
        SimulatedFiles.apply(change, to: &folder.names)
        folder.changes.append(change)
    }
    package func close(_ file: Int32) -> Int32 { descriptors.removeValue(forKey: file) == nil ? -9 : 0 }
    package func isOpen(_ file: Int32) -> Bool { descriptors[file] != nil }
    package var openCount: Int { descriptors.count }

    func read(_ file: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int, _ offset: Int) -> Int {
        guard !isDead else { return -5 }
        guard let node = descriptors[file] else { return -9 }
        let end = min(offset + count, node.cached.count)
        guard offset < end else { return 0 }
        node.cached.withUnsafeBytes { bytes.copyMemory(from: $0.baseAddress! + offset, byteCount: end - offset) }
        return end - offset
    }
    package func write(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) -> Int {
        guard let node = descriptors[file] else { return -9 }
        guard begin("write", Int(node.number), count) else { return -5 }
        if weather.isFull, offset + count > node.cached.count { return -28 }
        if chance.permille(weather.writeFails) { return -5 }
        let isShort = count > SimulatedFiles.sectorBytes && chance.permille(weather.writeIsShort)
        let done = isShort ? someSectors(count) : count
        put(node, bytes, done, offset)
        return done
    }
    /// What was with the disk when the machine went, and may have got there.
    package func mayHaveWritten(_ file: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) {
        guard let node = descriptors[file] else { return }
        put(node, bytes, someSectors(count), offset)
    }
    /// At least one of them, not all.
    private func someSectors(_ count: Int) -> Int {
        let whole = (count - 1) / SimulatedFiles.sectorBytes
        return (whole > 0 ? 1 + chance.below(whole) : 0) * SimulatedFiles.sectorBytes
    }
    private func put(_ node: Node, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int) {
        guard count > 0 else { return }
        if node.cached.count < offset + count {
            node.cached.append(contentsOf: repeatElement(0, count: offset + count - node.cached.count))
        }
        let sectorCount = (node.cached.count + SimulatedFiles.sectorBytes - 1) / SimulatedFiles.sectorBytes
        if node.dirty.count < sectorCount {
            node.dirty.append(contentsOf: repeatElement(false, count: sectorCount - node.dirty.count))
        }
        node.cached.withUnsafeMutableBytes {
            ($0.baseAddress! + offset).copyMemory(from: bytes, byteCount: count)
        }
        let last = (offset + count - 1) / SimulatedFiles.sectorBytes
        for sector in offset / SimulatedFiles.sectorBytes...last { node.dirty[sector] = true }
    }
    package func sync(_ file: Int32) -> Int32 {
        guard let node = descriptors[file] else { return -9 }
        guard begin("sync", Int(node.number)) else { return -5 }
        if node.isFolder { return syncNames(node) }
        if node.hasFailed { finding = "a sync of a file whose sync failed" }
        if chance.permille(weather.syncFails) {
            node.hasFailed = true
            keepSome(node)
            return -5
        }
        for sector in node.dirty.indices where node.dirty[sector] {
            copy(node, sector)
            node.dirty[sector] = false
        }
        return 0
    }
    private func syncNames(_ folder: Node) -> Int32 {
        if chance.permille(weather.syncFails) { return -5 }
        folder.changes = []
        folder.durableNames = folder.names
        return 0
    }
    func allocate(_ file: Int32, _ count: Int) -> Int32 { weather.isFull ? -28 : -95 }
    package func rename(_ directory: Int32, _ from: String, _ to: String) -> Int32 {
        guard var folder = descriptors[directory] else { return -9 }
        guard begin("rename", Int(folder.names[from]?.number ?? 0)) else { return -5 }
        guard folder.names[from] != nil else { return -2 }
        if chance.permille(weather.namesFail) { return -5 }
        change(&folder, .rename(from, to))
        return 0
    }
    func remove(_ directory: Int32, _ name: String) -> Int32 {
        guard var folder = descriptors[directory] else { return -9 }
        guard begin("unlink", Int(folder.names[name]?.number ?? 0)) else { return -5 }
        guard folder.names[name] != nil else { return -2 }
        change(&folder, .unlink(name))
        return 0
    }
    func makeDirectory(_ directory: Int32, _ name: String) -> Int32 {
        guard begin("mkdir") else { return -5 }
        guard var folder = directory < 0 ? root : descriptors[directory] else { return -9 }
        change(&folder, .link(name, Node(nextNode, isFolder: true)))
        nextNode += 1
        return 0
    }
    func size(_ file: Int32) -> Int { descriptors[file].map { $0.cached.count } ?? -9 }
    func identity(_ file: Int32) -> UInt64? { descriptors[file]?.number }
    func freeBytes() -> Int { isDead ? -5 : weather.isFull ? 4096 : 1 << 30 }
    /// Nil behind the last.
    func name(_ directory: Int32, _ place: Int) -> String? {
        guard let folder = descriptors[directory] else { return nil }
        let names = folder.names.keys.sorted()
        return place < names.count ? names[place] : nil
    }
}

enum FileFlags {
    static var create: Int32 { Int32(SLUICE_FILE_CREATE) }
    static var ensure: Int32 { Int32(SLUICE_FILE_ENSURE) }
}
