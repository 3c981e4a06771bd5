// The room that is kept for the store: there from the start, shorter when the disk is full, back when there is room;
// and however often the disk is filled, a start has some.

import Engine
import Foundation
import Logging
import TestSupport
import Testing

@Suite struct DiskReserveTests {
    private let folder = TemporaryFolder()
    private var size: Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: folder.path + "/" + DiskReserve.fileName)
        return (attributes?[.size] as? NSNumber)?.intValue
    }
    private func makeReserve() -> DiskReserve { DiskReserve(folder: folder.path, logger: Logger(label: "test")) }
    /// As a process that has started.
    private func started() -> DiskReserve {
        let reserve = makeReserve()
        #expect(reserve.prepare())
        reserve.endStart()
        return reserve
    }

    @Test func isThereFromTheStartAndItsOwnersAlone() throws {
        #expect(makeReserve().prepare() && size == DiskReserve.byteCount)
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + DiskReserve.fileName)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }
    @Test func getsShorterByStepsAndIsMadeWholeAgain() {
        let reserve = started()
        #expect(reserve.letGo() && size == DiskReserve.byteCount - DiskReserve.stepByteCount)
        #expect(reserve.letGo() && size == DiskReserve.byteCount - 2 * DiskReserve.stepByteCount)
        reserve.restore()
        #expect(size == DiskReserve.byteCount)
    }
    @Test func theRunningProcessLeavesThePartOfStarts() {
        let reserve = started()
        var steps = 0
        while reserve.letGo() { steps += 1 }
        #expect(steps == (DiskReserve.byteCount - DiskReserve.startByteCount) / DiskReserve.stepByteCount)
        #expect(size == DiskReserve.startByteCount)
        #expect(makeReserve().giveToStart() && size == DiskReserve.startByteCount - DiskReserve.stepByteCount)
    }
    @Test func aStartHasAllOfItAndTakesBackWhatItDoesNotNeed() {
        let reserve = started()
        while reserve.letGo() {}
        let next = makeReserve()
        #expect(next.prepare())
        while next.giveToStart() {}
        #expect(size == 0)
        // Nobody takes it from a start that goes on.
        next.restore()
        #expect(size == 0)
        next.endStart()
        #expect(size == DiskReserve.byteCount)
    }
    @Test func theNextProcessKnowsOfIt() {
        _ = started()
        #expect(makeReserve().letGo() && size == DiskReserve.byteCount - DiskReserve.stepByteCount)
    }
    @Test func whoeverRemovesItHasItsRoomUntilItIsMissed() throws {
        let reserve = started()
        try FileManager.default.removeItem(atPath: folder.path + "/" + DiskReserve.fileName)
        #expect(!reserve.letGo() && size == nil)
        reserve.restore()
        #expect(size == DiskReserve.byteCount)
    }
    @Test func withoutAFolderThereIsNoneAndNothingFails() {
        let reserve = DiskReserve(folder: "/nowhere/at/all", logger: Logger(label: "test"))
        #expect(reserve.prepare())
        reserve.endStart()
        reserve.restore()
        #expect(!reserve.letGo() && !reserve.giveToStart())
    }
}
