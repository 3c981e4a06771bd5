// Command lines as they are read: what runs, what is refused with which words and status.
import Engine
import Server
import Testing

@Suite struct CommandReadingTests {
    private func read(_ line: String) -> CommandReading { CommandReading(line.split(separator: " ").map(String.init)) }

    @Test func suggestsACommandForAMistypedOne() {
        let reading = read("evnts list")
        #expect(!reading.canRun && reading.status == 2)
        #expect(reading.text == "sluice: unknown command `evnts`; did you mean `events`?")
        #expect(read("endpoints pausee billing").text.contains("did you mean `pause`?"))
        #expect(read("endpoints retrynow billing").text.contains("did you mean `retry-now`?"))
        let strange = read("deliveries xyzzyxyzzy")
        #expect(strange.status == 2 && strange.text.contains("there is list, show, retry"))
    }
    @Test func suggestsAnOptionForAMistypedOne() {
        let reading = read("deliveries list --stat dead")
        #expect(!reading.canRun && reading.status == 2 && reading.text.contains("--state"))
    }
    @Test func saysItsVersion() {
        let reading = read("--version")
        #expect(reading.status == 0 && reading.text == Gateway.version)
    }
    @Test(arguments: [
        "status --json", "reload --dry-run --admin 127.0.0.1:1",
        "endpoints list --state failing --tenant t --all --json",
        "endpoints show a", "endpoints enable a --json", "endpoints disable a", "endpoints pause a --for 1h",
        "endpoints pause a", "endpoints retry-now a",
        "deliveries list --state dead --endpoint e --source s --type t --reason r --limit 5 --cursor c",
        "deliveries list --from 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z",
        "events find --provider-id x --json", "events rejected --limit 3", "config diff a.yaml --exit-code",
    ])
    func readsTheCommandsOfOperators(_ line: String) {
        let reading = read(line)
        #expect(reading.canRun, "\(reading.text)")
    }
    @Test(arguments: [
        "endpoints list --state failed", "endpoints list --limit 0", "endpoints pause a --for soon", "endpoints show",
        "deliveries show nonsense billing", "deliveries list --from yesterday", "deliveries list --state gone",
        "events find", "events find --provider-id x --limit 0", "status --admin nowhere",
    ])
    func refusesWhatCannotBeMeant(_ line: String) {
        let reading = read(line)
        #expect(!reading.canRun && reading.status == 2, "\(reading.text)")
    }
    @Test(arguments: [
        "status", "reload", "endpoints", "endpoints list", "endpoints show", "endpoints enable", "endpoints disable",
        "endpoints pause", "endpoints retry-now", "deliveries", "deliveries list", "deliveries show",
        "deliveries retry", "events find", "config diff", "endpoints create", "endpoints update", "endpoints remove",
        "tenants update", "apps", "apps list", "apps show", "apps create", "apps update", "apps remove", "apps token",
        "event-types", "event-types list", "event-types show", "event-types create", "event-types update",
        "event-types archive", "event-types import", "login", "logout", "profiles", "profiles list", "profiles use",
        "completions", "completions install", "completions print",
    ])
    func everyHelpHasAnExample(_ command: String) {
        let reading = read(command + " --help")
        #expect(reading.status == 0)
        #expect(reading.text.contains("EXAMPLE") && reading.text.contains("sluice " + command), "\(reading.text)")
    }
}
