// The command lines of tenants and keys: what is taken, and what is said of what is not.
import Server
import Testing

@Suite struct KeyCommandTests {
    private func reading(_ line: String) -> CommandReading {
        CommandReading(line.split(separator: " ").map(String.init))
    }

    @Test(arguments: [
        "keys create --tenant acme --role viewer", "keys create --all-tenants --role publisher --expires-in 90d",
        "keys create --role platform --name ops", "keys list --tenant acme --all", "keys revoke key_1",
        "tenants create acme --uid customer-7 --json", "tenants list --limit 5", "tenants show acme",
        "tenants remove acme --with-resources", "tenants rotate-secret acme --json", "secrets rewrap --data-keys",
        "secrets status --json",
    ])
    func aLineThatIsWholeRuns(_ line: String) { #expect(reading(line).canRun, "\(reading(line).text)") }
    @Test(arguments: [
        ("keys create --role viewer", "--all-tenants"), ("keys create --tenant acme", "--role"),
        ("keys create --role boss --tenant acme", "publisher, viewer, operator, admin, platform"),
        ("keys create --role viewer --tenant acme --all-tenants", "not both"),
        ("keys create --role platform --tenant acme", "belongs to no tenant"),
        ("keys create --role viewer --tenant acme --expires-in 90", "unit"), ("keys revoke", "id"),
        ("tenants create", "name"), ("keys delete key_1", "there is list, create, revoke"),
    ])
    func aLineThatLacksSomethingSaysWhat(_ line: String, _ word: String) {
        let reading = reading(line)
        #expect(!reading.canRun && reading.status == 2 && reading.text.contains(word), "\(reading.text)")
    }
}
