// The committed corpora through their targets: every input that has found something, and seeds of every form.
import Foundation
import TestSupport
import Testing

@Suite struct CorpusTests {
    @Test(arguments: FuzzTarget.allCases) func findsNothing(_ target: FuzzTarget) throws {
        let folder = Repository.file("Tests/Fuzz/corpus/\(target.rawValue)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count >= 5, "\(target.rawValue) has no corpus to speak of")
        for file in files {
            let input = [UInt8](try Data(contentsOf: file))
            #expect(input.count <= FuzzTarget.inputBytesMax, "\(file.lastPathComponent) is not looked at")
            do throws(FuzzFinding) { try target.run(input) } catch {
                Issue.record("\(target.rawValue)/\(file.lastPathComponent): \(error)")
            }
        }
    }
}
