// The rules over the whole tree. Each test prints every finding, not only the first.
import Testing

@Suite struct TidyTests {
    private func check(_ endings: [String], under folders: [String], _ rule: (SourceText) -> [Finding]) throws {
        let files = try folders.flatMap { try SourceTree.files(under: $0, endings: endings) }
            .filter { file in !TidyTests.takenOver.contains { file.path.hasPrefix($0) } }
        #expect(!files.isEmpty, "no file was read: the rule would pass whatever the tree holds")
        for finding in files.flatMap(rule) { Issue.record("\(finding)") }
    }

    @Test func floorsImportOnlyDownward() throws { try check([".swift"], under: ["Sources"], ImportRules.imports) }
    @Test func fastPathHasNoConcurrencyRuntime() throws {
        try check([".swift"], under: ["Sources"], Rules.concurrencyInFastPath)
    }
    @Test func noGenericStructureHasADeinit() throws {
        try check([".swift"], under: ["Sources"], Rules.deinitOfGeneric)
    }
    @Test func rawPointersStayInFastPath() throws { try check([".swift"], under: ["Sources"], Rules.rawPointers) }
    @Test func pointerFilesSayWhyTheyAreSafe() throws {
        try check([".swift"], under: ["Sources"], Rules.safetyParagraph)
    }
    @Test func whatIsClaimedSafeSaysWhy() throws {
        try check([".swift"], under: ["Sources"], Rules.safetyBesideUnsafe)
    }
    @Test func theMedianFileIsShort() throws {
        for folder in ["Sources", "Tests"] {
            let files = try SourceTree.files(under: folder, endings: [".swift"])
            #expect(!files.isEmpty)
            for finding in Rules.medianSize(files) { Issue.record("\(folder): \(finding.what)") }
        }
    }
    @Test func filesBeginWithAHeader() throws {
        try check([".swift", ".c", ".h"], under: ["Sources"], Rules.header)
        try check([".swift", ".py", ".sh"], under: ["Tests", "scripts", "perf"], Rules.header)
    }
    @Test func filesAndLinesAreShort() throws {
        try check([".swift", ".c", ".h"], under: ["Sources"], Rules.size)
        try check([".swift", ".py", ".sh"], under: ["Tests", "scripts", "perf"], Rules.size)
    }
    @Test func functionsAreShort() throws { try check([".swift"], under: ["Sources", "Tests"], Rules.functionLength) }
    @Test func nothingIsLeftUnfinished() throws {
        try check(TidyTests.allEndings, under: [""], Rules.unfinished)
    }
    @Test func noPathOfAMachineIsNamed() throws {
        try check(TidyTests.allEndings, under: [""], Rules.machinePath)
    }
    @Test func linksResolve() throws {
        try check([".md"], under: [""]) { Rules.links($0, exists: SourceTree.exists) }
    }

    /// Cases and tools that came with the project's specification and are kept as they came.
    private static let takenOver = ["Tests/Conformance/http/", "Tests/Crash/tools/"]
    private static let allEndings = [".swift", ".c", ".h", ".py", ".sh", ".md", ".yaml", ".yml", "Makefile", ".lua"]
}
