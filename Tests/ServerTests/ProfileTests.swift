// Which gateway a command asks and with which key, the file that `sluice login` keeps, and where completions go.
import Foundation
import Server
import TestSupport
import Testing

@Suite struct ProfileTests {
    private var two: Profiles {
        var profiles = Profiles()
        profiles.keep(Profile(admin: "prod:8081", key: "of-prod"), as: "prod")
        profiles.keep(Profile(admin: "test:8081", key: "of-test"), as: "test")
        return profiles
    }
    private func place(_ environment: [String: String] = [:]) -> GatewayPlace {
        GatewayPlace(
            standard: GatewayPlace.Seat(admin: "127.0.0.1:8081", dataFolder: "here"), environment: environment)
    }
    @Test func aNamedDataFolderHasTheKey() throws {
        var place = place(["SLUICE_KEY": "e", "SLUICE_PROFILE": "test"])
        place.dataFolder = "other"
        #expect(try answer(place, two) == ["127.0.0.1:8081", "of-other", "folder other"])
        place.admin = "elsewhere:1"
        #expect(try answer(place, two) == ["elsewhere:1", "of-other", "folder other"])
        (place.admin, place.configured) = (nil, GatewayPlace.Seat(admin: "configured:2", dataFolder: "there"))
        #expect(try answer(place, two) == ["configured:2", "of-other", "folder other"])
        place.key = "k"
        #expect(try answer(place, two) == ["configured:2", "k", "it is the one of --key"])
    }
    private func answer(_ place: GatewayPlace, _ profiles: Profiles = Profiles()) throws -> [String?] {
        let answer = try place.answer(
            profiles: { profiles }, folderKey: { GatewayPlace.Key("of-\($0)", "folder \($0)") })
        return [answer.address, answer.key.token, answer.key.origin]
    }

    @Test func whoeverSaysNothingAsksTheGatewayOfThisMachine() throws {
        #expect(try answer(place()) == ["127.0.0.1:8081", "of-here", "folder here"])
        #expect(
            try answer(place(["SLUICE_KEY": "e"])) == ["127.0.0.1:8081", "e", "it is the one of SLUICE_KEY"])
    }
    @Test func theLastLoginCountsUntilAnotherIsChosen() throws {
        #expect(try answer(place(), two) == ["test:8081", "of-test", "it is the one of the profile `test`"])
        var profiles = two
        let (chosen, other) = (profiles.choose("prod"), profiles.choose("none"))
        #expect(chosen && !other)
        #expect(try answer(place(), profiles)[0] == "prod:8081")
        #expect(try answer(place(["SLUICE_PROFILE": "test"]), profiles)[0] == "test:8081")
        var named = place(["SLUICE_PROFILE": "test"])
        named.profile = "prod"
        #expect(try answer(named, profiles)[0] == "prod:8081")
    }
    @Test func theCommandLineCountsMoreThanTheEnvironmentAndThatMoreThanWhatWasKept() throws {
        var place = place(["SLUICE_KEY": "e", "SLUICE_PROFILE": "prod"])
        #expect(try answer(place, two) == ["prod:8081", "e", "it is the one of SLUICE_KEY"])
        place.profile = "test"
        #expect(try answer(place, two)[1] == "of-test")
        place.key = "k"
        #expect(try answer(place, two) == ["test:8081", "k", "it is the one of --key"])
    }
    @Test func aKeyOfTheEnvironmentGoesToNoGatewayThatNobodyNamed() throws {
        var place = place(["SLUICE_KEY": "e"])
        #expect(try answer(place, two) == ["test:8081", "of-test", "it is the one of the profile `test`"])
        place.key = "k"
        #expect(try answer(place, two) == ["test:8081", "k", "it is the one of --key"])
        place.key = nil
        place.admin = "named:1"
        #expect(try answer(place, two) == ["named:1", "e", "it is the one of SLUICE_KEY"])
    }
    @Test func aKeyThatWasKeptGoesToNoOtherAddress() throws {
        var place = place()
        place.admin = "elsewhere:1"
        #expect(try answer(place, two) == ["elsewhere:1", nil, nil])
        place.admin = "127.0.0.1:1"
        #expect(try answer(place, two) == ["127.0.0.1:1", "of-here", "folder here"])
        place.admin = nil
        place.configured = GatewayPlace.Seat(admin: "configured:2", dataFolder: "there")
        #expect(try answer(place, two) == ["configured:2", "of-there", "folder there"])
        place.admin = "elsewhere:1"
        #expect(try answer(place, two) == ["elsewhere:1", nil, nil])
    }
    @Test func aGatewayWithTLSIsAskedOverIt() throws {
        var place = place()
        place.admin = "https://127.0.0.1:1"
        #expect(try answer(place) == ["https://127.0.0.1:1", "of-here", "folder here"])
        place.admin = "https://elsewhere:1"
        #expect(try answer(place) == ["https://elsewhere:1", nil, nil])
        place.admin = nil
        var profiles = two
        profiles.keep(Profile(admin: "https://prod:1", key: "k", authorities: "/ca.pem"), as: "secure")
        let found = try place.answer(profiles: { profiles }, folderKey: { _ in GatewayPlace.Key(nil, nil) })
        #expect(found.address == "https://prod:1" && found.authorities == "/ca.pem" && found.key.token == "k")
    }
    @Test func anAddressSaysWhetherItHasTLS() {
        func read(_ text: String) -> String? { AdminAddress(argument: text)?.description }
        #expect(read("https://gateway.test:1/") == "https://gateway.test:1" && read("http://a:1") == "a:1")
        #expect(read("[::1]:1") == "[::1]:1" && read("https://[::1]:1") == "https://[::1]:1")
        #expect(AdminAddress(argument: "https://a:1")?.authority == "a:1")
        for wrong in ["", "https://", "https://a", "ftp://a:1", "https://a:1/x", "https://https://a:1"] {
            #expect(read(wrong) == nil, "\(wrong)")
        }
    }
    @Test func aProfileOfBeforeIsRead() throws {
        let old = try JSONDecoder().decode(Profile.self, from: Data(#"{"admin":"a:1","key":"k"}"#.utf8))
        #expect(old == Profile(admin: "a:1", key: "k"))
    }
    @Test func aProfileThatIsNotThereIsNamedWithTheNearest() {
        var place = place()
        place.profile = "prot"
        #expect(throws: GatewayPlace.Problem(message: "there is no profile `prot`; did you mean `prod`?")) {
            try answer(place, two)
        }
        #expect(throws: GatewayPlace.Problem(message: "there is no profile `prot`; `sluice login` makes one")) {
            try answer(place)
        }
    }
    @Test func whoSignsOutIsAtNoOtherGatewayWithoutASay() {
        var profiles = two
        let (forgotten, again) = (profiles.forget("test"), profiles.forget("test"))
        #expect(forgotten && !again && profiles.current == nil && profiles.names == ["prod"])
    }

    @Test func theFileIsItsOwnersAlone() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = try ProfileFile(environment: ["XDG_CONFIG_HOME": folder.path, "HOME": "/nowhere"])
        #expect(try file.read() == Profiles())
        try file.write(two)
        #expect(try file.read() == two)
        func mode(_ path: String) throws -> Int? {
            try (FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
        }
        #expect(try mode(file.path) == 0o600)
        #expect(try mode((file.path as NSString).deletingLastPathComponent) == 0o700)
        let left = try FileManager.default.contentsOfDirectory(
            atPath: (file.path as NSString).deletingLastPathComponent)
        #expect(left == ["profiles.json"], "no draft is left")
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: file.path)
        #expect(throws: ProfileError.self) { try file.read() }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
        try Data("{".utf8).write(to: URL(fileURLWithPath: file.path))
        #expect(throws: ProfileError.self) { try file.read() }
    }
    @Test func ofManyWhoChangeTheFileAtOnceAllAreHeard() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path + "/sluice/profiles.json"
        let names = (0..<32).map { "p\($0)" }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in names {
                group.addTask {
                    try ProfileFile(path: path).change { $0.keep(Profile(admin: "a:1", key: name), as: name) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try ProfileFile(path: path).read().names == names.sorted())
        struct Refusal: Error {}
        #expect(throws: Refusal.self) {
            try ProfileFile(path: path).change { profiles in
                profiles.keep(Profile(admin: "a:1", key: "k"), as: "other")
                throw Refusal()
            }
        }
        #expect(try ProfileFile(path: path).read()["other"] == nil)
    }
    @Test(arguments: ["complete -F _sluice sluice\n", "#compdef sluice\n_sluice\n", "#compdef sluice"])
    func aScriptOfOursSaysSoWhereZshStillReadsItsFirstLine(_ script: String) throws {
        let marked = CompletionScript.marked(script)
        #expect(CompletionScript.isMarked(marked) && !CompletionScript.isMarked(script))
        #expect(!script.contains("\n_sluice") || marked.hasPrefix("#compdef sluice\n"))
        let folder = TemporaryFolder()
        let path = folder.path + "/script"
        #expect(CompletionScript.mayReplace(path))
        try Data(script.utf8).write(to: URL(fileURLWithPath: path))
        #expect(!CompletionScript.mayReplace(path))
        try Data(marked.utf8).write(to: URL(fileURLWithPath: path))
        #expect(CompletionScript.mayReplace(path))
    }
    @Test func theFileLiesInTheUsersConfigurationFolder() throws {
        #expect(try ProfileFile(environment: ["HOME": "/h"]).path == "/h/.config/sluice/profiles.json")
        let named = ["HOME": "/h", "XDG_CONFIG_HOME": "/c"]
        #expect(try ProfileFile(environment: named).path == "/c/sluice/profiles.json")
        // The specification has paths that are not absolute ignored.
        let relative = ["HOME": "/h", "XDG_CONFIG_HOME": "c"]
        #expect(try ProfileFile(environment: relative).path == "/h/.config/sluice/profiles.json")
        #expect(throws: ProfileError.self) { try ProfileFile(environment: [:]) }
    }
    @Test(arguments: [
        ("bash", "/h/.local/share/bash-completion/completions/sluice"),
        ("zsh", "/h/.local/share/zsh/site-functions/_sluice"), ("fish", "/h/.config/fish/completions/sluice.fish"),
    ])
    func completionsGoWhereTheShellLooks(_ shell: String, _ path: String) throws {
        #expect(try CompletionPlace(shell: shell, ["HOME": "/h"]).path == path)
    }
    @Test func bashHasAFolderOfItsOwn() throws {
        let place = try CompletionPlace(shell: "bash", ["HOME": "/h", "BASH_COMPLETION_USER_DIR": "/b"])
        #expect(place.path == "/b/completions/sluice")
    }

    // MARK: catalogues of event types

    private func entries(_ text: String) throws -> [EventTypeEntry] { try EventTypeEntry.list(Array(text.utf8)) }

    @Test func aCatalogueIsAListOrAPageOrALineForEach() throws {
        let one = #"{"name":"a.b","description":"A","createdAt":"2026-01-31T00:00:00Z","featureFlag":null}"#
        let wanted = try entries("[\(one)]")
        #expect(wanted.map(\.name) == ["a.b"])
        #expect(wanted[0].body == ["description": "A"])
        #expect(try entries(#"{"data":[\#(one)],"done":true}"#) == wanted)
        #expect(try entries(one) == wanted)
        #expect(try entries("\(one)\n{\"name\":\"c\"}\n").map(\.name) == ["a.b", "c"])
    }
    @Test(arguments: [
        ("nonsense", "line 1"), ("[1]", "[0]: must be an object"), (#"[{"name":"a b"}]"#, "[0].name"),
        (#"[{"name":"a"},{"name":"a"}]"#, "`a` is there twice"),
        (#"[{"name":"a","descripton":"x"}]"#, "`description`?"),
        (#"[{"name":"a","deprecated":"yes"}]"#, "[0].deprecated"), (#"[{"name":"a","schemas":[]}]"#, "[0].schemas"),
    ])
    func aCatalogueThatIsWrongIsRefusedWithThePlace(_ text: String, _ word: String) {
        do {
            _ = try entries(text)
            Issue.record("it was taken: \(text)")
        } catch let error as EventTypeFileError {
            #expect(error.message.contains(word), "\(error.message)")
        } catch { Issue.record("\(error)") }
    }
}
