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
        "secrets status --json", "tenants update acme --name acme-ltd --uid u",
        "apps list --all --json", "apps show customer-7", "apps create Acme --uid c-7 --rate 5 --metadata plan=gold",
        "apps update c-7 --name Acme", "apps remove c-7 --profile prod", "apps token c-7 --expires-in 1h --read-only",
        "event-types list --archived --with-schemas --json", "event-types show a.b --json",
        "event-types create a.b --description A --schema 1=a.json --feature-flag beta --deprecated",
        "event-types update a.b --no-deprecated", "event-types archive a.b --expunge",
        "event-types import types.json --dry-run --json", "event-types import -",
        "endpoints create billing http://h/ --tenant acme --type a.* --secret file:x --concurrency 8 --disabled",
        "endpoints update billing --url http://h/ --name b", "endpoints remove billing",
        "login --url http://127.0.0.1:8081 --profile prod --offline", "login --url h:1 --key k", "logout --all",
        "logout --profile prod", "login --url https://h:1",
        "profiles list --json", "profiles use prod", "status --profile prod",
        "completions install --shell zsh", "completions print --shell fish", "completions install",
    ])
    func aLineThatIsWholeRuns(_ line: String) { #expect(reading(line).canRun, "\(reading(line).text)") }
    @Test(arguments: [
        ("keys create --role viewer", "--all-tenants"), ("keys create --tenant acme", "--role"),
        ("keys create --role boss --tenant acme", "publisher, viewer, operator, admin, platform"),
        ("keys create --role viewer --tenant acme --all-tenants", "not both"),
        ("keys create --role platform --tenant acme", "belongs to no tenant"),
        ("keys create --role viewer --tenant acme --expires-in 90", "unit"), ("keys revoke", "id"),
        ("login", "--url"), ("login --url ftp://h", "HOST:PORT"), ("login --url h", "HOST:PORT"),
        ("login --url h:1 --profile a/b", "profile"), ("status --profile p --admin h:1", "leave out --admin"),
        ("status --profile p --config c", "leave out --admin and --config"), ("logout --all --profile p", "not both"),
        ("completions install --shell tcsh", "bash, zsh or fish"), ("event-types import", "file"),
        ("apps create", "name"), ("endpoints create billing", "url"),
        ("tenants create", "name"), ("keys delete key_1", "there is list, create, revoke"),
    ])
    func aLineThatLacksSomethingSaysWhat(_ line: String, _ word: String) {
        let reading = reading(line)
        #expect(!reading.canRun && reading.status == 2 && reading.text.contains(word), "\(reading.text)")
    }
}
