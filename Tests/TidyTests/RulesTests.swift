// Each rule against a snippet that breaks it and one that does not: a rule that cannot fail checks nothing.
import Testing

@Suite struct RulesTests {
    private func file(_ path: String, _ text: String) -> SourceText { SourceText(path: path, text: text) }

    @Test func importUpwardIsFound() {
        let bad = "// x\nimport Engine\npackage import Foundation\nimport CShims\n"
        #expect(ImportRules.imports(file("Sources/FastPath/A.swift", bad)).map(\.line) == [2, 3])
        #expect(ImportRules.imports(file("Sources/Engine/A.swift", "import Server\nimport CShims\n")).count == 2)
        let server = "import struct Foundation.Data\nimport CShims\n"
        #expect(ImportRules.imports(file("Sources/Server/A.swift", server)).count == 1)
        let mentioned = "// import Foundation\nlet a = \"import Foundation\"\n"
        #expect(ImportRules.imports(file("Sources/FastPath/A.swift", mentioned)).isEmpty)
    }
    @Test func libraryOutOfItsPlaceIsFound() {
        func found(_ path: String, _ text: String) -> Int { ImportRules.imports(file(path, text)).count }
        #expect(found("Sources/Server/Commands/A.swift", "import Yams\n") == 1)
        #expect(found("Sources/Server/Configuration/A.swift", "import Yams\n") == 0)
        #expect(found("Sources/Engine/Delivery/A.swift", "import GRDB\n") == 1)
        #expect(found("Sources/Engine/Registry/Validation.swift", "import GRDB\n") == 1)
        #expect(found("Sources/Engine/Registry/SQLiteRegistryStore.swift", "import GRDB\n") == 0)
        #expect(found("Sources/Engine/Store/A.swift", "import GRDB\n") == 0)
    }
    @Test func aModuleWithoutAPlaceIsFound() {
        #expect(ImportRules.imports(file("Sources/Newcomer/A.swift", "let a = 1\n")).count == 1)
        #expect(ImportRules.imports(file("Tests/Newcomer/A.swift", "import Engine\n")).isEmpty)
    }
    @Test func unsafeWithoutAReasonIsFound() {
        func found(_ text: String) -> [Int] { Rules.safetyBesideUnsafe(file("Sources/A/B.swift", text)).map(\.line) }
        #expect(found("// A.\nlet a = unsafe b\n@safe struct C {}\nnonisolated(unsafe) var d = 1\n") == [2, 3, 4])
        #expect(found("// A.\n// Safety: b.\nlet a = unsafe b\n").isEmpty)
        #expect(found("// A.\nimport C\n// Safety: d.\nlet a = unsafe b\n").isEmpty)
        #expect(found("// A.\nlet isUnsafe = 1 // unsafe\nx.unsafe()\n").isEmpty)
    }
    @Test func aHighMedianIsFound() {
        let short = file("a.swift", "a\n")
        let long = file("b.swift", String(repeating: "a\n", count: Rules.fileLinesMedianMax + 1))
        #expect(Rules.medianSize([short, short, long]).isEmpty)
        #expect(Rules.medianSize([short, long, long]).count == 1)
        #expect(Rules.medianSize([]).isEmpty)
    }
    @Test func concurrencyIsFoundInFastPathOnly() {
        let bad = "func a() async {}\nlet x = await b()\n// async\nlet isAsync = 1\nlet s = \"await\"\n"
        #expect(Rules.concurrencyInFastPath(file("Sources/FastPath/A.swift", bad)).map(\.line) == [1, 2])
        #expect(Rules.concurrencyInFastPath(file("Sources/Engine/A.swift", bad)).isEmpty)
    }
    @Test func deinitOfAGenericStructureIsFound() {
        let bad = "@safe struct A<T: ~Copyable>: ~Copyable {\n    deinit { free() }\n}\nstruct B {\n    deinit {}\n}\n"
        #expect(Rules.deinitOfGeneric(file("Sources/FastPath/A.swift", bad)).map(\.line) == [2])
    }
    @Test func pointerOutsideFastPathIsFound() {
        let bad = "let a: UnsafeMutableRawBufferPointer\nx.withUnsafeBytes { _ in }\n"
        #expect(Rules.rawPointers(file("Sources/Engine/A.swift", bad)).count == 2)
        #expect(Rules.rawPointers(file("Sources/FastPath/A.swift", bad)).isEmpty)
        #expect(Rules.rawPointers(file("Tests/EngineTests/A.swift", bad)).isEmpty)
    }
    @Test func pointerFileWithoutSafetyIsFound() {
        let body = "let a: UnsafePointer<UInt8>\n"
        #expect(Rules.safetyParagraph(file("Sources/FastPath/A.swift", "// A.\n" + body)).count == 1)
        #expect(Rules.safetyParagraph(file("Sources/FastPath/A.swift", "// A.\n// Safety: b.\n" + body)).isEmpty)
        #expect(Rules.safetyParagraph(file("Sources/FastPath/A.swift", "// A.\n\n// Safety: b.\n" + body)).count == 1)
    }
    @Test func missingHeaderIsFound() {
        #expect(Rules.header(file("a.swift", "import Testing\n")).count == 1)
        #expect(Rules.header(file("a.swift", "// A.\nimport Testing\n")).isEmpty)
        #expect(Rules.header(file("a.swift", "// swift-tools-version: 6.2\nimport A\n")).count == 1)
        #expect(Rules.header(file("a.py", "#!/usr/bin/env python3\n\"\"\"A.\"\"\"\n")).isEmpty)
        #expect(Rules.header(file("a.py", "#!/usr/bin/env python3\nimport os\n")).count == 1)
    }
    @Test func longFileAndLongLineAreFound() {
        let long = String(repeating: "a\n", count: Rules.fileLinesMax + 1)
        #expect(Rules.size(file("a.swift", long)).count == 1)
        #expect(Rules.size(file("a.swift", String(repeating: "a\n", count: Rules.fileLinesMax))).isEmpty)
        #expect(Rules.size(file("a.swift", String(repeating: "é", count: Rules.lineColumnsMax))).isEmpty)
        #expect(Rules.size(file("a.swift", String(repeating: "é", count: Rules.lineColumnsMax + 1))).count == 1)
    }
    @Test func longFunctionIsFound() {
        func source(_ lines: Int) -> String {
            "struct A {\n    func b(_ c: (Int) -> Void = { _ in }) {\n"
                + String(repeating: "        c(1)\n", count: lines - 2) + "    }\n    var d = 1\n}\n"
        }
        #expect(Rules.functionLength(file("a.swift", source(Rules.functionLinesMax))).isEmpty)
        #expect(Rules.functionLength(file("a.swift", source(Rules.functionLinesMax + 1))).map(\.line) == [2])
    }
    @Test func functionsAreMeasuredFromKeywordToBrace() {
        let text = """
            protocol P {
                func a(b: Int) -> Int
                func c()
            }
            struct S: P {
                init() {
                    let text = "}"
                    /* } */
                }
                func a(
                    b: Int
                ) -> Int { b }
                func c() {}
                static func == (l: S, r: S) -> Bool { true }
            }
            """
        let found = FunctionScan.functions(in: file("a.swift", text))
        #expect(
            found == [
                FunctionExtent(name: "init", line: 6, lineCount: 4), FunctionExtent(name: "a", line: 10, lineCount: 3),
                FunctionExtent(name: "c", line: 13, lineCount: 1), FunctionExtent(name: "==", line: 14, lineCount: 1),
            ])
    }
    @Test func unfinishedWordIsFound() {
        for word in Rules.unfinishedWords {
            #expect(Rules.unfinished(file("a.md", "a\n// \(word): b\n")).map(\.line) == [2])
            #expect(Rules.unfinished(file("a.md", "a\(word)S\n")).isEmpty)
        }
    }
    @Test func machinePathIsFound() {
        for path in Rules.machinePaths {
            #expect(Rules.machinePath(file("a.py", "x\ncd \(path)main\n")).map(\.line) == [2])
        }
        #expect(Rules.machinePath(file("a.py", "a/network/x ./framework/y\n")).isEmpty)
    }
    @Test func brokenLinkIsFound() {
        let text =
            "[a](b.md) [c](../README.md#d) [e](https://example.test) [f](#g)\n"
            + "```\n[x](gone.md)\n```\n[h](gone.md)\n[i](../../j.md)\n"
        let found = Rules.links(file("docs/a.md", text)) { ["docs/b.md", "README.md"].contains($0) }
        #expect(found.map(\.line) == [5, 6])
    }
    @Test func stringsAndCommentsAreBlanked() {
        let text =
            "let a = \"x // y\" // z\nlet b = #\"q\"w\"#\n/* c /* d */ e */ f\n"
            + "let g = \"\"\"\n  h\n  \"\"\"\ni\n"
        #expect(file("a.swift", text).code == ["let a = \"\" ", "let b = \"\"", " f", "let g = \"", "", "\"", "i", ""])
    }
}
