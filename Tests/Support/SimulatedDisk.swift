// A disk for the journal's seam, in memory, that can lose power. It carries out the steps a ring would and answers as a
// kernel would.
//
// Fault model: a file is sectors of 512 bytes. A write reaches the page cache whole or, short, in its first
// sectors. A sync that
// returns 0 makes every byte of the file durable. A power cut keeps, for each sector that was written and not synced,
// its old or its new content, each sector for itself, in no order. A rename is durable when the directory was synced;
// until then a cut keeps either name. A sync that fails leaves an arbitrary part of the sectors on disk and, as Linux
// does, forgets that the rest was dirty: a later sync of that file returns 0 and writes nothing of it. A process that
// dies without a cut leaves the page cache as it is. Left out: sectors torn inside, and disks that lie about a flush.

import FastPath

package struct SimulatedFile {
    package var name: String
    /// The name a power cut may leave; nil when the directory was synced since the last rename.
    package var nameBefore: String?
    package var cached: [UInt8]
    package var durable: [UInt8]
    /// First bytes of sectors that were written and not synced.
    package var dirty: Set<Int> = []
    package var syncHasFailed = false
}

/// What goes wrong at one seam call; each is consumed once.
package enum DiskFault: Equatable {
    case shortWrite(Int)
    case writeFails(Int)
    case syncFails
    case placingFails
    case interrupted
    /// The ring cancelled the sync although the write was whole.
    case syncCancelled
}

package struct SimulatedDisk {
    package static let sectorBytes = 512
    package var files: [Int32: SimulatedFile] = [:]
    package var faults: [DiskFault] = []
    package var generator: SeededRandom
    package private(set) var syncAfterFailureCount = 0
    /// Seam calls that still work; then the machine is gone. Nil = forever.
    package var callsUntilCrash: Int?
    package private(set) var callCount = 0
    package var hasCrashed: Bool { callsUntilCrash == 0 }
    private var nextFile: Int32 = 100
    private var nextSpare: UInt64 = 1

    package init(seed: UInt64) { generator = SeededRandom(seed) }

    package mutating func makeSpare(byteCount: Int) -> SegmentDescriptor {
        let zeros = [UInt8](repeating: 0, count: byteCount)
        files[nextFile] = SimulatedFile(name: "spare-\(nextSpare)", cached: zeros, durable: zeros)
        nextFile += 1
        nextSpare += 1
        return SegmentDescriptor(
            file: nextFile - 1, spareNumber: nextSpare - 1, byteCount: byteCount, salt: generator.next())
    }
    /// A file that is there from an earlier run, durable as it is.
    package mutating func adopt(name: String, bytes: [UInt8]) -> Int32 {
        files[nextFile] = SimulatedFile(name: name, cached: bytes, durable: bytes)
        nextFile += 1
        return nextFile - 1
    }

    /// Rename and directory sync.
    package mutating func place(_ roll: CommitRoll) -> Int {
        precondition(files[roll.write.file]?.name == String(cString: roll.spareName))
        return rename(String(cString: roll.spareName), to: String(cString: roll.segmentName))
    }
    package mutating func rename(_ before: String, to name: String) -> Int {
        guard countCall() else { return -5 }
        let fault = take { $0 == .placingFails }
        guard let file = files.first(where: { $0.value.name == before })?.key else { return -2 }
        // A rename takes the place of a file that has the name already.
        for (other, content) in files where content.name == name && other != file { files[other]?.name = "replaced" }
        files[file]?.nameBefore = before
        files[file]?.name = name
        if fault != nil { return -5 }
        files[file]?.nameBefore = nil
        return 0
    }
    package mutating func write(_ write: CommitWrite) -> Int {
        guard countCall() else { return -5 }
        if take({ $0 == .interrupted }) != nil { return -4 }
        var count = write.byteCount
        if let fault = take({ if case .writeFails = $0 { true } else { false } }), case .writeFails(let error) = fault {
            return -error
        }
        if let fault = take({ if case .shortWrite = $0 { true } else { false } }), case .shortWrite(let most) = fault {
            count = min(count, most)
        }
        let offset = Int(write.fileOffset)
        let bytes = UnsafeRawBufferPointer(start: write.bytes, count: count)
        files[write.file]!.cached.replaceSubrange(offset..<offset + count, with: bytes)
        let first = offset / SimulatedDisk.sectorBytes * SimulatedDisk.sectorBytes
        for sector in stride(from: first, to: offset + count, by: SimulatedDisk.sectorBytes) {
            files[write.file]!.dirty.insert(sector)
        }
        return count
    }
    package mutating func sync(_ file: Int32) -> Int {
        guard countCall() else { return -5 }
        if files[file]!.syncHasFailed { syncAfterFailureCount += 1 }
        if take({ $0 == .syncFails }) != nil {
            files[file]!.syncHasFailed = true
            settle(file)
            return -5
        }
        files[file]!.nameBefore = nil
        for sector in files[file]!.dirty { copySector(file, sector) }
        files[file]!.dirty = []
        return 0
    }
    /// Write and linked sync, as the ring does them.
    package mutating func perform(_ write: CommitWrite) -> (written: Int, synced: Int) {
        let written = self.write(write)
        if written != write.byteCount || take({ $0 == .syncCancelled }) != nil { return (written, -125) }
        return (written, sync(write.file))
    }
    package mutating func perform(_ step: CommitStep) -> (placed: Int, written: Int, synced: Int) {
        switch step {
        case .write(let write):
            let result = perform(write)
            return (0, result.written, result.synced)
        case .roll(let roll):
            let placed = place(roll)
            if placed < 0 { return (placed, -125, -125) }
            let result = perform(roll.write)
            return (0, result.written, result.synced)
        case .refuse: preconditionFailure("nothing to perform")
        }
    }

    /// The power fails: what is not synced is torn.
    package mutating func cutPower() {
        for file in files.keys.sorted() {
            settle(file)
            files[file]!.cached = files[file]!.durable
            if let before = files[file]!.nameBefore, Bool.random(using: &generator) { files[file]!.name = before }
            files[file]!.nameBefore = nil
        }
    }
    /// Puts the files as they are now into a folder's `log/`.
    package func materialise(into path: String) {
        for name in TemporaryFolder.names(path + "/log") where name != "identity" {
            TestFile.remove(path + "/log/" + name)
        }
        for file in files.values where file.name != "replaced" {
            TestFile.write(
                path + "/log/" + file.name,
                file.cached)
        }
    }

    // The call at which the machine dies has no effect; that of the one before it was heard of or not, as the test
    // likes.
    private mutating func countCall() -> Bool {
        callCount += 1
        guard let left = callsUntilCrash else { return true }
        callsUntilCrash = max(0, left - 1)
        return left > 1
    }
    private mutating func settle(_ file: Int32) {
        for sector in files[file]!.dirty.sorted() where Bool.random(using: &generator) { copySector(file, sector) }
        files[file]!.dirty = []
    }
    private mutating func copySector(_ file: Int32, _ sector: Int) {
        let range = sector..<min(sector + SimulatedDisk.sectorBytes, files[file]!.cached.count)
        let bytes = Array(files[file]!.cached[range])
        files[file]!.durable.replaceSubrange(range, with: bytes)
    }
    private mutating func take(_ matches: (DiskFault) -> Bool) -> DiskFault? {
        guard let first = faults.first, matches(first) else { return nil }
        return faults.removeFirst()
    }
}
