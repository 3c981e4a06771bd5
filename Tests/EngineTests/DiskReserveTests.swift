// The room that is kept for the store: there from the start, gone when the disk is full, back when there is room.

import Engine
import Foundation
import Logging
import TestSupport
import Testing

@Suite struct DiskReserveTests {
    private func size(_ folder: TemporaryFolder) -> Int? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: folder.path + "/" + DiskReserve.fileName)
        return (attributes?[.size] as? NSNumber)?.intValue
    }

    @Test func isThereFromTheStartAndItsOwnersAlone() throws {
        let folder = TemporaryFolder()
        let reserve = DiskReserve(folder: folder.path, logger: Logger(label: "test"))
        reserve.prepare()
        #expect(size(folder) == DiskReserve.byteCount)
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/" + DiskReserve.fileName)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }
    @Test func isLetGoOfOnceAndMadeAgain() {
        let folder = TemporaryFolder()
        let reserve = DiskReserve(folder: folder.path, logger: Logger(label: "test"))
        reserve.prepare()
        #expect(reserve.letGo() && size(folder) == nil)
        #expect(!reserve.letGo())
        reserve.restore()
        #expect(size(folder) == DiskReserve.byteCount && reserve.letGo())
    }
    @Test func theNextProcessKnowsOfIt() {
        let folder = TemporaryFolder()
        DiskReserve(folder: folder.path, logger: Logger(label: "test")).prepare()
        #expect(DiskReserve(folder: folder.path, logger: Logger(label: "test")).letGo() && size(folder) == nil)
    }
    @Test func withoutAFolderThereIsNoneAndNothingFails() {
        let reserve = DiskReserve(folder: "/nowhere/at/all", logger: Logger(label: "test"))
        reserve.prepare()
        reserve.restore()
        #expect(!reserve.letGo())
    }
}
